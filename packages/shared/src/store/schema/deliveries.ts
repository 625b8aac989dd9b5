import { sql } from "drizzle-orm";
import { check, index, integer, pgTable, text, timestamp, uuid } from "drizzle-orm/pg-core";
import { DEAD_REASONS, DELIVERY_STATES, HELD_REASONS } from "../../core/delivery/states.ts";

const oneOf = (values: readonly string[]) => sql.raw(values.map((value) => `'${value}'`).join(", "));

/**
 * One event for one subscription; the unit of state. Partitioned by day on `id`, whose first 8 bytes are its event's.
 */
export const deliveries = pgTable(
  "deliveries",
  {
    id: uuid("id").primaryKey(),
    eventId: uuid("event_id").notNull(),
    subscriptionId: uuid("subscription_id").notNull(),
    tenant: text("tenant").notNull(),
    eventType: text("event_type").notNull(),
    state: text("state", { enum: DELIVERY_STATES }).notNull(),
    /** The dispatch batch of a pending delivery. Every transition to `pending` writes a new one. */
    batchId: uuid("batch_id"),
    heldReason: text("held_reason", { enum: HELD_REASONS }),
    heldAt: timestamp("held_at", { withTimezone: true }),
    /** When the breaker last probed with this delivery. The next probe takes the delivery probed with longest ago. */
    probedAt: timestamp("probed_at", { withTimezone: true }),
    deadReason: text("dead_reason", { enum: DEAD_REASONS }),
    /** Number of manual retries. Each of them restarts the schedule. */
    cycle: integer("cycle").notNull().default(0),
    /** Recorded attempts of all cycles. */
    attemptCount: integer("attempt_count").notNull().default(0),
    /** Attempts of this cycle that count against the retry schedule (probes do not). */
    scheduleStep: integer("schedule_step").notNull().default(0),
    nextAttemptAt: timestamp("next_attempt_at", { withTimezone: true }),
    lastError: text("last_error"),
    settledAt: timestamp("settled_at", { withTimezone: true }),
  },
  (table) => [
    check("deliveries_state_check", sql`${table.state} in (${oneOf(DELIVERY_STATES)})`),
    check("deliveries_pending_check", sql`(${table.state} = 'pending') = (${table.batchId} is not null)`),
    check("deliveries_retrying_check", sql`(${table.state} = 'retrying') = (${table.nextAttemptAt} is not null)`),
    check(
      "deliveries_held_check",
      sql`case when ${table.state} = 'held' then ${table.heldAt} is not null and ${table.heldReason} is not null and ${table.heldReason} in (${oneOf(HELD_REASONS)}) else ${table.heldReason} is null end`,
    ),
    check(
      "deliveries_dead_check",
      sql`case when ${table.state} = 'dead' then ${table.deadReason} is not null and ${table.deadReason} in (${oneOf(DEAD_REASONS)}) else ${table.deadReason} is null end`,
    ),
    check(
      "deliveries_settled_check",
      sql`(${table.state} in ('delivered', 'dead', 'cancelled')) = (${table.settledAt} is not null)`,
    ),
    check(
      "deliveries_counts_check",
      sql`${table.attemptCount} >= 0 and ${table.scheduleStep} >= 0 and ${table.cycle} >= 0`,
    ),
    // Indexes that came after the first release are built by store/build-indexes.ts, not by their migration.
    index("deliveries_pending_idx")
      .on(table.batchId, table.id)
      .where(sql`state = 'pending'`),
    index("deliveries_released_idx")
      .on(table.subscriptionId)
      .where(sql`state = 'pending' and held_at is not null`),
    index("deliveries_retrying_idx")
      .on(table.nextAttemptAt)
      .where(sql`state = 'retrying'`),
    index("deliveries_held_idx")
      .on(table.subscriptionId, table.heldAt, table.id, table.heldReason)
      .where(sql`state = 'held'`),
    // uuid_send() keeps the order of the ids. Only these indexes have that order, so a list of dead letters can use no
    // other one (store/bounded-list.ts).
    index("deliveries_dead_id_idx")
      .on(sql`uuid_send(id)`)
      .where(sql`state = 'dead'`),
    index("deliveries_dead_tenant_idx")
      .on(table.tenant, sql`uuid_send(id)`)
      .where(sql`state = 'dead'`),
    index("deliveries_dead_subscription_idx")
      .on(table.subscriptionId, sql`uuid_send(id)`)
      .where(sql`state = 'dead'`),
    index("deliveries_subscription_idx").on(table.subscriptionId, table.id),
  ],
);
