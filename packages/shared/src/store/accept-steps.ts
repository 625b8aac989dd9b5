import { timeOfId } from "../core/ids/id-range.ts";
import { textArray, type TextParts } from "./text-array.ts";

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
  /** A second key that must be new or stand for the same hash, or the statement fails. */
  batch?: { key: string; hash: Buffer } | undefined;
  /** Whether it is the only event of its request. A conflict then fails only that request, not the statement. */
  isAlone: boolean;
  /** Number of the first batch that its deliveries may join (core/ids/batch-id.ts). */
  firstBatch: number;
}

/** First one row per event in order, whose `id` is the stored event; then one row per batch, whose `n` is null. */
export interface AcceptRow {
  /** Position of the event in the input, from 1. */
  n: number | null;
  kind: "new" | "duplicate" | "conflict" | "batch";
  id: string;
  /** Deliveries of a new event so far, or of a batch. */
  size: number;
  /** Whether the rest of the event's deliveries is left to an expansion. */
  expanding: boolean;
  /** The batch's lowest and highest event id. */
  from: string | null;
  to: string | null;
}

/**
 * The first steps: `judged` has the events, each with its verdict, and the event that has its key.
 *
 * note_accepting() comes first. Who reads events in the order of their ids must know which ids may still be committed
 * (store/sql/read-settled-time.ts).
 *
 * Keys are written in order, so that two statements with common keys wait for each other and do not deadlock. An
 * expired key is overwritten. A conflict inside a batch request fails the statement (refuse_idempotency_conflict, with 0
 * for the key of the batch), because a batch is all or nothing.
 */
export const JUDGED = `
  with input as materialized (
    select * from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $6::text[], $7::bytea[], $8::boolean[],
      $10::int[], $11::text[], $12::bytea[])
      with ordinality as t (id, tenant, type, patterns, key, hash, alone, first_batch, batch_key, batch_hash, n)
    where (select note_accepting($13::bigint))
  ), claimed as (
    insert into idempotency_keys as k (tenant, key, body_hash, event_id, expires_at)
    select tenant, key, hash, id, now() + interval '24 hours' from (
      select tenant, key, hash, id from input where key is not null
      union all
      select tenant, batch_key, batch_hash, id from input where batch_key is not null
    ) keys order by tenant, key
    on conflict (tenant, key) do update set
      body_hash = case when k.expires_at <= now() then excluded.body_hash else k.body_hash end,
      event_id = case when k.expires_at <= now() then excluded.event_id else k.event_id end,
      expires_at = case when k.expires_at <= now() then excluded.expires_at else k.expires_at end
    returning k.tenant, k.key, k.body_hash, k.event_id
  ), judged as materialized (
    select i.*, coalesce(c.event_id, i.id) as event_id,
      case
        when b.event_id <> i.id and b.body_hash <> i.batch_hash then refuse_idempotency_conflict(0)::text
        when c.event_id is null or c.event_id = i.id then 'new'
        when c.body_hash = i.hash then 'duplicate'
        when i.alone then 'conflict'
        else refuse_idempotency_conflict(i.n)::text
      end as verdict
    from input i left join claimed c on c.tenant = i.tenant and c.key = i.key
      left join claimed b on b.tenant = i.tenant and b.key = i.batch_key
  )`;

/**
 * The last step: the events, and what the statement did. Bodies are joined here, because every step with bodies copies
 * them.
 *
 * @param stored name of the step with the new events, with the columns `deliveries` and `expanding`
 */
export const eventsAndResult = (stored: string): string => `, event as (
    insert into events (id, tenant, type, body, delivery_count)
    select s.id, s.tenant, s.type, b.body, s.deliveries
    from ${stored} s join unnest($5::text[]) with ordinality as b (body, n) on b.n = s.n
  )
  select n::int, 'new' as kind, id, deliveries as size, expanding, null as "from", null as "to" from ${stored}
  union all
  select n::int, verdict, event_id, 0, false, null, null from judged where verdict <> 'new'
  union all
  select null, 'batch', batch_id, count(*)::int, false, min(event_id::text), max(event_id::text)
  from delivery group by batch_id
  order by 1`;

/** The values of a statement made of these steps. @param batchSeed a new UUIDv7; the ids of the batches are derived from it */
export const acceptValues = (events: readonly AcceptedEvent[], batchSeed: string): unknown[] => [
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
  events.map(({ batch }) => batch?.key ?? null),
  events.map(({ batch }) => batch?.hash ?? null),
  Math.min(...events.map(({ id }) => timeOfId(id))),
];
