import type { Database } from "../../support/database.ts";
import { foldHeldChanges } from "../../../apps/worker/src/upkeep/fold-held-changes.ts";
import { seedSubscriptions, withPool } from "../../support/seed.ts";
import { makePartitions } from "../growth/rows.ts";

const DAY_MS = 86_400_000;
export const DAYS = 30;
const TENANTS = 10_000;
/** Of one tenant; each event is for all of them. */
const PER_TENANT = 10;
const EVENTS_PER_STATEMENT = 25_000;

/** The tenant with a tenth of all deliveries. */
export const LARGE_TENANT = "tenant-0";
export const SMALL_TENANT = "tenant-17";
/** SQL of the id of a tenant's n-th subscription. It is older than the template, whose secret a starting process tries. */
export const subscriptionId = (tenant: string | number, place: string | number): string =>
  `overlay(md5('subscription' || (${tenant}) * ${PER_TENANT} + (${place})) placing '00000000' from 1)::uuid`;

/**
 * Inserts `count` deliveries over 30 days: a tenth each are held and retrying, a few pending or dead, the rest delivered.
 * All deliveries of a tenant's first subscription are held.
 */
export async function seedLargeTables(database: Database, count: number, say: (line: string) => void): Promise<void> {
  await makePartitions(database, DAYS);
  await seedSubscriptions(database, { tenant: "template", url: "http://127.0.0.1:9/", count: 1 });
  await database.run(SUBSCRIPTIONS);
  const indexes = await dropIndexes(database);
  const perDay = Math.ceil(count / PER_TENANT / DAYS);
  const today = Date.now() - (Date.now() % DAY_MS);
  for (let day = DAYS; day >= 1; day -= 1) {
    for (let from = 0; from < perDay; from += EVENTS_PER_STATEMENT) {
      const to = Math.min(perDay, from + EVENTS_PER_STATEMENT);
      await database.run(eventsOf(today - day * DAY_MS, from, to, perDay, day === 1));
    }
    if (day % 5 === 0) say(`the deliveries of ${DAYS - day + 1} days are there`);
  }
  for (const index of indexes) await database.run(index);
  say("the indexes are there");
  // As workers do it; then come 10,000 changes that are still to be folded.
  await withPool(database, foldHeldChanges);
  await database.run(CHANGES);
  await database.run(
    "vacuum analyze held_changes, held_counts, events, deliveries, attempts, subscriptions, subscription_patterns",
  );
  await database.run("checkpoint");
}

const SUBSCRIPTIONS = `
  with template as (select * from subscriptions limit 1), copies as materialized (
    select t as tenant, ${subscriptionId("t", "p")} as id
    from generate_series(0, ${TENANTS - 1}) t, generate_series(0, ${PER_TENANT - 1}) p
  ), patterns as (
    insert into subscription_patterns (tenant, pattern, subscription_id) select 'tenant-' || tenant, 'bench.*', id from copies
  )
  insert into subscriptions (id, tenant, url, event_types, secrets, headers, max_in_flight, metadata)
  select copies.id, 'tenant-' || copies.tenant, url, '{bench.*}', secrets, headers, max_in_flight, metadata
  from copies, template`;

const CHANGES = `
  insert into held_changes (xid, subscription_id, reason, change)
  select pg_current_xact_id(), ${subscriptionId("n % 100", "0")}, 'paused', case when n % 200 < 100 then 1 else -1 end
  from generate_series(0, 9999) n`;

/** Building an index at the end takes a fraction of the time. @returns the statements that make them again */
async function dropIndexes(database: Database): Promise<string[]> {
  const indexes = await database.rows<{ name: string; definition: string }>(
    `select indexname as name, replace(indexdef, ' ON ONLY ', ' ON ') as definition from pg_indexes
     where tablename = 'deliveries' and indexname <> 'deliveries_pkey'`,
  );
  for (const { name } of indexes) await database.run(`drop index ${name}`);
  return indexes.map(({ definition }) => definition);
}

const eventsOf = (dayMs: number, from: number, to: number, perDay: number, isNewest: boolean) => `
  with numbered as (
    select n, ${dayMs}::bigint + (n * (${DAY_MS}::bigint - 1000)) / ${perDay} as ms,
      case when n % 10 = 0 then 0 else (n * 7919 + ${dayMs / DAY_MS}) % ${TENANTS} end as tenant
    from generate_series(${from}, ${to - 1}) n
  ), ids as materialized (
    select *, to_timestamp(ms / 1000.0) as at, lpad(to_hex(ms), 12, '0') || '7' || substr(md5(n::text), 1, 3) || '8' as stem
    from numbered
  ), event as (
    insert into events (id, tenant, type, body, delivery_count)
    select (stem || substr(md5(n || 'event'), 1, 15))::uuid, 'tenant-' || tenant, 'bench.large', '{"data":' || n || '}', ${PER_TENANT}
    from ids
  ), rows as materialized (
    select ids.*, p, (stem || substr(md5(n || ' ' || p), 1, 15))::uuid as id,
      case p when 0 then 'held' when 1 then 'retrying'
        when 2 then case when ${isNewest} and n >= ${to} - 100 then 'pending' when n % 50 = 0 then 'dead' else 'delivered' end
        else 'delivered' end as state
    from ids, generate_series(0, ${PER_TENANT - 1}) p
  ), attempt as (
    insert into attempts (id, delivery_id, number, trigger, started_at, duration_ms, response_status, response_body)
    select id, id, 1, 'auto', at, 12, 200, 'ok' from rows where p = 3
  )
  insert into deliveries (id, event_id, subscription_id, tenant, event_type, state, attempt_count, schedule_step,
    held_reason, held_at, next_attempt_at, batch_id, dead_reason, settled_at)
  select id, (stem || substr(md5(n || 'event'), 1, 15))::uuid, ${subscriptionId("tenant", "p")}, 'tenant-' || tenant,
    'bench.large', state, 1, 1,
    case when state = 'held' then 'paused' end, case when state = 'held' then at end,
    case when state = 'retrying' then now() + (n % 7200 - 3600) * interval '1 second' end,
    case when state = 'pending' then id end,
    case when state = 'dead' then 'exhausted' end, case when state in ('dead', 'delivered') then at end
  from rows`;
