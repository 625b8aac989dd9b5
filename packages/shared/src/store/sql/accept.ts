import { BATCHES_PER_PRIORITY, FLOOD } from "../../core/ids/batch-id.ts";
import type { Queryable } from "../pool.ts";
import { textArray, type TextParts } from "../text-array.ts";

/** An event to store. */
export interface AcceptedEvent {
  id: string;
  tenant: string;
  type: string;
  /** Every pattern that matches the type. */
  patterns: readonly string[];
  /** The body that every attempt sends. */
  body: TextParts;
  idempotencyKey: string | undefined;
  /** Hash of the bytes that the key stands for; null without a key. */
  hash: Buffer | null;
  /** Whether it is the only event of its request. A conflict then fails only that request, not the statement. */
  isAlone: boolean;
  /** Number of the first batch that its deliveries may join (core/ids/batch-id.ts). */
  firstBatch: number;
}

/**
 * How many deliveries of a tenant one statement puts into the batches that all tenants share: two seconds of the least
 * share of a tenant. The fan-out of an event is known only here.
 */
export const MAX_SHARED = 200;

/** First one row per event in order, whose `id` is the stored event; then one row per batch, whose `n` is null. */
export interface AcceptRow {
  /** Position of the event in the input, from 1. */
  n: number | null;
  kind: "new" | "duplicate" | "conflict" | "batch";
  id: string;
  /** Deliveries of a new event or of a batch. */
  size: number;
  /** The batch's lowest and highest event id. */
  from: string | null;
  to: string | null;
}

/**
 * Keys are written in order, so that two statements with common keys wait for each other and do not deadlock. An
 * expired key is overwritten. A conflict inside a batch request fails the statement (refuse_idempotency_conflict),
 * because a batch is all or nothing.
 *
 * The deliveries of a tenant beyond the first MAX_SHARED get a priority that rises with each doubling of their number. So
 * neighbours go before them, and the rest of a small fan-out before the rest of a large one.
 *
 * The planner can't estimate the number of events, so the statement avoids joins it could plan badly: `matched` has a
 * row for every event, also without a match. Bodies are joined last, because every step with bodies copies them.
 */
const TEXT = `
  with input as materialized (
    select * from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $6::text[], $7::bytea[], $8::boolean[],
      $10::int[]) with ordinality as t (id, tenant, type, patterns, key, hash, alone, first_batch, n)
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
    select j.n, j.id, j.tenant, j.type, wanting.subscription_id, j.first_batch,
      count(wanting.subscription_id) over of_event as deliveries, row_number() over of_event as place,
      count(wanting.subscription_id) over (partition by j.tenant order by j.n rows unbounded preceding) as of_tenant
    from judged j left join lateral (
      select distinct p.subscription_id from subscription_patterns p
      where p.tenant = j.tenant and p.pattern = any (string_to_array(j.patterns, ','))
    ) wanting on true
    where j.verdict = 'new'
    window of_event as (partition by j.tenant, j.n)
  ), placed as (
    select *, greatest(first_batch, case
        when of_tenant > ${MAX_SHARED}
        then (${FLOOD} + floor(ln(of_tenant / ${MAX_SHARED}.0::float8) / ln(2::float8)))::int * ${BATCHES_PER_PRIORITY}
        else 0
      end) as first
    from matched where subscription_id is not null
  ), delivery as (
    insert into deliveries (id, event_id, subscription_id, tenant, event_type, state, batch_id)
    select delivery_id(id), id, subscription_id, tenant, type, 'pending',
      batch_id($9, first + (row_number() over (partition by first order by n) - 1) / 100)
    from placed
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
  select null, 'batch', batch_id, count(*)::int, min(event_id::text), max(event_id::text)
  from delivery group by batch_id
  order by 1`;

/**
 * Stores idempotency keys, events and one delivery per matching subscription, in one statement and so in one commit.
 *
 * @param batchSeed a new UUIDv7; the ids of the batches are derived from it
 * @throws DatabaseError isMissingPartition, isIdempotencyConflict (store/errors.ts) and others
 */
export async function acceptEvents(
  db: Queryable,
  events: readonly AcceptedEvent[],
  batchSeed: string,
): Promise<AcceptRow[]> {
  const { rows } = await db.query<AcceptRow>({
    name: "accept",
    text: TEXT,
    values: [
      events.map(({ id }) => id),
      events.map(({ tenant }) => tenant),
      events.map(({ type }) => type),
      events.map(({ patterns }) => patterns.join(",")),
      textArray(events.map(({ body }) => body)),
      events.map(({ idempotencyKey }) => idempotencyKey ?? null),
      events.map(({ hash }) => hash),
      events.map(({ isAlone }) => isAlone),
      batchSeed,
      events.map(({ firstBatch }) => firstBatch),
    ],
  });
  return rows;
}
