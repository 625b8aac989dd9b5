import { formatDuration } from "@postrider/shared/core/duration.ts";
import { CLOSED_BREAKER, type Breaker } from "@postrider/shared/core/breaker.ts";
import type { HeldReason } from "@postrider/shared/core/delivery/states.ts";
import { toPublicId } from "@postrider/shared/core/ids/id.ts";
import type { Context } from "../context.ts";
import type { SubscriptionRow } from "./store.ts";

/** What is held of one subscription. */
interface Held {
  count: number;
  heldReasons?: Partial<Record<HeldReason, number>>;
  oldestHeldAt?: string;
}

const NOTHING_HELD: Held = { count: 0 };

/** Shows subscriptions as the API does: the rows, what is held of them, and their breakers, read for all of them at once. */
export function createPresenter(context: Context) {
  const { settings } = context;
  return async (rows: readonly SubscriptionRow[]) => {
    const ids = rows.map(({ id }) => id);
    const [held, breakers] = await Promise.all([readHeld(context, ids), readBreakers(context, ids)]);
    return rows.map((row, index) => {
      const { count, ...more } = held.get(row.id) ?? NOTHING_HELD;
      return {
        id: toPublicId("sub", row.id),
        tenant: row.tenant,
        url: row.url,
        eventTypes: row.eventTypes,
        description: row.description,
        headers: row.headers,
        rateLimit: row.rateLimit,
        maxInFlight: row.maxInFlight,
        timeoutMs: row.timeoutMs ?? settings.deliveryTimeoutMs,
        retrySchedule: row.retrySchedule ?? settings.retrySchedule.map(formatDuration),
        metadata: row.metadata,
        status: row.status,
        disabledReason: row.disabledReason,
        breaker: presentBreaker(breakers[index] ?? CLOSED_BREAKER),
        held: count,
        // What is held, and since when: there while something is.
        ...more,
        createdAt: row.createdAt.toISOString(),
        updatedAt: row.updatedAt.toISOString(),
      };
    });
  };
}

const presentBreaker = ({ state, failures, until }: Breaker) => ({
  state,
  failures,
  // Open: when the next probe is due. Half open: when the one under way counts as lost.
  retryAt: state === "closed" ? null : new Date(until).toISOString(),
});

/** While Redis is away nothing is known, and an unknown breaker is a closed one: that is also how it would begin. */
const readBreakers = ({ breakers }: Context, ids: readonly string[]): Promise<Breaker[]> =>
  breakers.read(ids).catch(() => []);

async function readHeld({ pool }: Context, ids: readonly string[]): Promise<Map<string, Held>> {
  if (ids.length === 0) return new Map();
  const { rows } = await pool.query<{ id: string; reason: HeldReason; count: number; oldestAt: Date }>({
    name: "read-held",
    text: `
      select s.id, h.reason, h.count,
        (select d.held_at from deliveries d where d.state = 'held' and d.subscription_id = s.id order by d.held_at limit 1) as "oldestAt"
      from unnest($1::uuid[]) as s (id) cross join lateral (
        select d.held_reason as reason, count(*)::int as count from deliveries d
        where d.state = 'held' and d.subscription_id = s.id group by d.held_reason
      ) h`,
    values: [ids],
  });
  return new Map(
    [...Map.groupBy(rows, ({ id }) => id)].map(([id, held]) => [
      id,
      {
        count: held.reduce((sum, { count }) => sum + count, 0),
        heldReasons: Object.fromEntries(held.map(({ reason, count }) => [reason, count])),
        oldestHeldAt: held[0]!.oldestAt.toISOString(),
      },
    ]),
  );
}
