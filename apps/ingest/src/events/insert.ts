import { firstBatchNumber } from "@postrider/shared/core/ids/batch-id.ts";
import { familyRange, timeOfId } from "@postrider/shared/core/ids/id-range.ts";
import { patternsMatching } from "@postrider/shared/core/event/types.ts";
import { isMissingPartition } from "@postrider/shared/store/errors.ts";
import { ensurePartitions } from "@postrider/shared/store/partitions.ts";
import type { Pool } from "@postrider/shared/store/pool.ts";
import { textArray, type TextParts } from "@postrider/shared/store/text-array.ts";
import { newId } from "@postrider/shared/runtime/new-id.ts";

/** An event as the API took it, validated. */
export interface NewEvent {
  tenant: string;
  type: string;
  /** The JSON text of `data` in UTF-8, as it was sent. */
  data: Buffer;
  idempotencyKey: string | undefined;
}

/** An event with its id, what every attempt will send, and what its idempotency key stands for. */
export interface PreparedEvent extends NewEvent {
  id: string;
  body: TextParts;
  hash: Buffer | null;
}

/**
 * One flush: idempotency keys, events, and one delivery per matching subscription, in one statement and so in one
 * commit. Per row of input it answers `event` with the id that counts and how many deliveries; per 100 deliveries of a priority a `batch`.
 *
 * Keys are written in order, so that two flushes that share keys wait for each other instead of deadlocking. An
 * expired key is overwritten. A conflict inside a batch request takes the statement back (refuse_idempotency_conflict),
 * because a batch is all or nothing.
 *
 * How large a flush is the planner cannot know, so nothing is left to join that it could join badly: `matched` has a row of every event, with
 * how many deliveries it makes, also where there are none. Bodies come in at the end: every step that they are carried through copies them.
 */
const ACCEPT = `
  with input as materialized (
    select * from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $6::text[], $7::bytea[], $8::boolean[], $10::int[])
      with ordinality as t (id, tenant, type, patterns, key, hash, alone, first_batch, n)
  ), claimed as (
    insert into idempotency_keys as k (tenant, key, body_hash, event_id, expires_at)
    select tenant, key, hash, id, now() + interval '24 hours' from input where key is not null order by tenant, key
    on conflict (tenant, key) do update set
      body_hash = case when k.expires_at <= now() then excluded.body_hash else k.body_hash end,
      event_id = case when k.expires_at <= now() then excluded.event_id else k.event_id end,
      expires_at = case when k.expires_at <= now() then excluded.expires_at else k.expires_at end
    returning k.tenant, k.key, k.body_hash, k.event_id
  ), judged as materialized (
    select i.*, coalesce(c.event_id, i.id) as event_id,
      case
        when c.event_id is null or c.event_id = i.id then 'new'
        when c.body_hash = i.hash then 'duplicate'
        when i.alone then 'conflict'
        else refuse_idempotency_conflict(i.n)::text
      end as verdict
    from input i left join claimed c on c.tenant = i.tenant and c.key = i.key
  ), matched as materialized (
    select j.n, j.id, j.tenant, j.type, wanting.subscription_id, j.first_batch
        + (count(wanting.subscription_id) over (partition by j.first_batch order by j.n rows unbounded preceding) - 1) / 100 as batch,
      count(wanting.subscription_id) over of_event as deliveries, row_number() over of_event as place
    from judged j left join lateral (
      select distinct p.subscription_id from subscription_patterns p
      where p.tenant = j.tenant and p.pattern = any (string_to_array(j.patterns, ','))
    ) wanting on true
    where j.verdict = 'new'
    window of_event as (partition by j.first_batch, j.n)
  ), delivery as (
    insert into deliveries (id, event_id, subscription_id, tenant, event_type, state, batch_id)
    select delivery_id(id), id, subscription_id, tenant, type, 'pending', batch_id($9, batch) from matched
    where subscription_id is not null
    returning event_id, batch_id
  ), event as (
    insert into events (id, tenant, type, body, delivery_count)
    select m.id, m.tenant, m.type, b.body, m.deliveries
    from matched m join unnest($5::text[]) with ordinality as b (body, n) on b.n = m.n where m.place = 1
  )
  select n::int, 'new' as kind, id, deliveries::int as size, null as "from", null as "to" from matched where place = 1
  union all
  select n::int, verdict, event_id, 0, null, null from judged where verdict <> 'new'
  union all
  select null, 'batch', batch_id, count(*)::int, min(event_id::text), max(event_id::text) from delivery group by batch_id
  order by 1`;

export interface AcceptRow {
  n: number | null;
  kind: "new" | "duplicate" | "conflict" | "batch";
  id: string;
  size: number;
  from: string | null;
  to: string | null;
}

/**
 * Stores events and their deliveries in one commit, and makes the partition that is missing.
 *
 * @param isAlone per event, whether it is the only one of its request
 * @param priorities per event, that of the batches its deliveries are in
 */
export async function insertEvents(
  pool: Pool,
  events: readonly PreparedEvent[],
  isAlone: readonly boolean[],
  priorities: readonly number[],
): Promise<AcceptRow[]> {
  const statement = {
    name: "accept",
    text: ACCEPT,
    values: [
      events.map(({ id }) => id),
      events.map(({ tenant }) => tenant),
      events.map(({ type }) => type),
      events.map(({ type }) => patternsMatching(type).join(",")),
      textArray(events.map(({ body }) => body)),
      events.map(({ idempotencyKey }) => idempotencyKey ?? null),
      events.map(({ hash }) => hash),
      isAlone,
      newId(),
      priorities.map(firstBatchNumber),
    ],
  };
  try {
    return (await pool.query<AcceptRow>(statement)).rows;
  } catch (error) {
    if (!isMissingPartition(error)) throw error;
    const times = events.map(({ id }) => timeOfId(id));
    await ensurePartitions(pool, Math.min(...times), Math.max(...times));
    return (await pool.query<AcceptRow>(statement)).rows;
  }
}

/** How many deliveries the first use of a key made. A statement of its own: the first use may have committed after ours began. */
export async function deliveryCounts(pool: Pool, eventIds: readonly string[]): Promise<Map<string, number>> {
  if (eventIds.length === 0) return new Map();
  const { from, to } = familyRange(eventIds);
  const { rows } = await pool.query<{ id: string; count: number }>({
    name: "delivery-counts",
    text: "select id, delivery_count as count from events where id = any($1::uuid[]) and id between $2 and $3",
    values: [eventIds, from, to],
  });
  return new Map(rows.map(({ id, count }) => [id, count]));
}
