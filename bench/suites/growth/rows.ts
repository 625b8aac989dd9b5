import pg from "pg";
import { ensurePartitions } from "../../../packages/shared/src/store/partitions.ts";
import type { Database } from "../../support/database.ts";

const DAY_MS = 86_400_000;
const ROWS_PER_STATEMENT = 250_000;
const BODY_BYTES = 200;

/** Makes the partitions of so many past days, of today and of seven days ahead. */
export async function makePartitions(database: Database, past: number): Promise<void> {
  const pool = new pg.Pool({ connectionString: database.url, max: 1 });
  const now = Date.now();
  await ensurePartitions(pool, now - past * DAY_MS, now + 7 * DAY_MS);
  await pool.end();
}

/**
 * Inserts deliveries that were delivered at the first attempt, with their events and attempts, in equal parts over the
 * days before today; their partitions must be there. Ids are UUIDv7 of the time (RFC 9562), a delivery's begins as its
 * event's does.
 */
export async function insertOldDeliveries(
  database: Database,
  count: number,
  days: number,
  say: (line: string) => void,
): Promise<void> {
  const perDay = Math.ceil(count / days);
  const today = Date.now() - (Date.now() % DAY_MS);
  for (let day = 1; day <= days; day += 1) {
    for (let from = 0; from < perDay; from += ROWS_PER_STATEMENT) {
      const to = Math.min(perDay, from + ROWS_PER_STATEMENT);
      await database.run(insertOf(today - day * DAY_MS, from, to, perDay));
    }
    if (perDay >= ROWS_PER_STATEMENT && day % 5 === 0) say(`${Math.min(count, day * perDay)} old deliveries are there`);
  }
  if (count > 0) await database.run("vacuum analyze events, deliveries, attempts");
}

const insertOf = (dayMs: number, from: number, to: number, perDay: number) => `
  with numbered as (
    select n, ${dayMs}::bigint + (n * (${DAY_MS}::bigint - 1000)) / ${perDay} as ms from generate_series(${from}, ${to - 1}) n
  ), ids as (
    select n, ms, lpad(to_hex(ms), 12, '0') || '7' || substr(md5(n::text), 1, 3) as first_half from numbered
  ), rows as materialized (
    select n, to_timestamp(ms / 1000.0) as at,
      (first_half || '8' || substr(md5(n || 'event'), 1, 15))::uuid as event_id,
      (first_half || '8' || substr(md5(n || 'delivery'), 1, 15))::uuid as delivery_id,
      (first_half || '8' || substr(md5(n || 'attempt'), 1, 15))::uuid as attempt_id
    from ids
  ), their_events as (
    insert into events (id, tenant, type, body, delivery_count)
    select event_id, 'tenant-' || n % 100, 'bench.old', repeat(md5(n::text), ${Math.ceil(BODY_BYTES / 32)}), 1 from rows
  ), their_attempts as (
    insert into attempts (id, delivery_id, number, trigger, started_at, duration_ms, response_status, response_body)
    select attempt_id, delivery_id, 1, 'auto', at, 12, 200, 'ok' from rows
  )
  insert into deliveries (id, event_id, subscription_id, tenant, event_type, state, attempt_count, schedule_step, settled_at)
  select delivery_id, event_id, md5('subscription' || n % 1000)::uuid, 'tenant-' || n % 100, 'bench.old', 'delivered', 1, 1, at from rows`;

/**
 * Copies an existing subscription `count` times, spread over a thousand tenants, each with a type that is never posted.
 * Their ids are older than all others: a starting process tries the newest secret, and theirs are sealed for another
 * id.
 */
export const insertSubscriptions = (database: Database, count: number): Promise<void> =>
  database.run(`
  with template as (select * from subscriptions limit 1), copies as materialized (
    select overlay(gen_random_uuid()::text placing '00000000' from 1)::uuid as id, 'tenant-' || n % 1000 as tenant, 'other.event-' || n as pattern from generate_series(1, ${count}) n
  ), patterns as (
    insert into subscription_patterns (tenant, pattern, subscription_id) select tenant, pattern, id from copies
  )
  insert into subscriptions (id, tenant, url, event_types, secrets, headers, max_in_flight, metadata)
  select copies.id, copies.tenant, url, array[pattern], secrets, headers, max_in_flight, metadata from copies, template`);
