import type { Queryable } from "../pool.ts";
import { textArray, type TextParts } from "../text-array.ts";
import { batchBehind, FIRST_SUBSCRIPTION, matchingMostlyFew } from "./matching.ts";

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

/** How many deliveries of one event a statement writes. What exceeds that is left to workers (an expansion). */
const MAX_PER_EVENT = 1_000;
/** How many deliveries a statement writes in all, at about 25 µs each. With 20,000, neighbours waited for 1.5 s. */
const MAX_PER_STATEMENT = 5_000;
/** A tenant can't add an expansion beyond this many unwritten deliveries, unless it is its only one. */
const MAX_UNWRITTEN = 5_000_000;
/** Nor beyond this many expansions, which accept adds up: a few milliseconds. */
const MAX_UNFINISHED = 20_000;
/** How many subscriptions of a pattern are counted, at 0.1 µs each. */
const MAX_COUNTED = 1_000_000;

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
 * Keys are written in order, so that two statements with common keys wait for each other and do not deadlock. An
 * expired key is overwritten. A conflict inside a batch request fails the statement (refuse_idempotency_conflict, with 0
 * for the key of the batch), because a batch is all or nothing.
 *
 * An event with more deliveries than fit in is stored with an expansion, which workers go on with. `matched` stops
 * reading at the limit, so a flush costs what it writes, whatever its fan-out. Then `bound` has the last event that was
 * read: it may have more matches, and later events have not been matched. Its matches so far are in no order, so its
 * expansion begins with the first subscription; deliveries that are there are not written again.
 *
 * An expansion is stored with an estimate of its event's matches: the subscriptions of its patterns, each pattern counted
 * once per statement, so that no more is read than the tenant's subscriptions, however many events and types there are.
 * The backlog of a tenant is the sum over its expansions, new ones included. Beyond MAX_UNWRITTEN it fails the statement
 * (refuse_expansion_backlog). `delivery` asks for that first, so that a refused statement writes no deliveries.
 *
 * The planner can't estimate the number of events, so the statement avoids joins it could plan badly: `matched` has a
 * row for every event that was matched, also without a match. Bodies are joined last, because every step with bodies
 * copies them.
 */
const TEXT = `
  with input as materialized (
    select * from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $6::text[], $7::bytea[], $8::boolean[],
      $10::int[], $11::text[], $12::bytea[])
      with ordinality as t (id, tenant, type, patterns, key, hash, alone, first_batch, batch_key, batch_hash, n)
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
  ), matched as materialized (
    select j.n, j.id, j.tenant, j.type, j.patterns, j.first_batch, wanting.subscription_id
    from (select * from judged where verdict = 'new' order by n) j left join lateral (
      ${matchingMostlyFew({ tenant: "j.tenant", patterns: "j.patterns", limit: MAX_PER_EVENT + 1 })}
    ) wanting on true
    limit ${MAX_PER_STATEMENT}
  ), bound as materialized (
    select case when count(*) = ${MAX_PER_STATEMENT} then max(n) end as n from matched
  ), counted as materialized (
    select *, count(subscription_id) over (partition by tenant, n) as found,
      case when subscription_id is not null
        then row_number() over (partition by tenant, n order by subscription_id) end as place,
      count(subscription_id) over (partition by tenant order by n, subscription_id rows unbounded preceding) as of_tenant
    from matched
  ), placed as materialized (
    select *, greatest(first_batch, ${batchBehind("of_tenant")}) as first,
      found > ${MAX_PER_EVENT} or (found > 0 and n is not distinct from (select n from bound)) as is_cut
    from counted where place <= ${MAX_PER_EVENT} or place is null
  ), unmatched as materialized (
    select j.n, j.id, j.tenant, j.type, j.patterns, greatest(j.first_batch, ${batchBehind("c.of_tenant")}) as first
    from judged j left join (select tenant, max(of_tenant) as of_tenant from counted group by tenant) c using (tenant)
    where j.verdict = 'new' and j.n > (select n from bound)
  ), stored as materialized (
    select n, id, tenant, type, least(found, ${MAX_PER_EVENT})::int as deliveries, is_cut as expanding
    from placed where place = 1 or place is null
    union all
    select n, id, tenant, type, 0, true from unmatched
  ), cut as materialized (
    select n, id, tenant, type, patterns, first, place as written,
      case when found > ${MAX_PER_EVENT} then subscription_id else ${FIRST_SUBSCRIPTION} end as subscription_id
    from placed where is_cut and place = least(found, ${MAX_PER_EVENT})
    union all
    select n, id, tenant, type, patterns, first, 0, ${FIRST_SUBSCRIPTION} from unmatched
  ), aimed as materialized (
    select cut.*, pattern, case when row_number() over (partition by tenant, pattern) = 1 then (
      select count(*) from (
        select from subscription_patterns p where p.tenant = cut.tenant and p.pattern = wanted.pattern
        limit ${MAX_COUNTED}
      ) counted_patterns
    ) end as subscriptions
    from cut cross join lateral unnest(string_to_array(patterns, ',')) as wanted (pattern)
  ), estimated as materialized (
    select n, id, tenant, type, patterns, first, subscription_id, written,
      greatest(written, least(sum(subscriptions), ${MAX_UNWRITTEN}))::int as matches
    from (
      select n, id, tenant, type, patterns, first, subscription_id, written,
        max(subscriptions) over (partition by tenant, pattern) as subscriptions
      from aimed
    ) by_pattern
    group by n, id, tenant, type, patterns, first, subscription_id, written
  ), refused as materialized (
    select refuse_expansion_backlog(new.n)
    from (
      select tenant, min(n) as n, count(*) as events, sum(matches - written) as unwritten from estimated group by tenant
    ) new cross join lateral (
      select count(*) as events, coalesce(sum(unwritten), 0) as unwritten from (
        select greatest(x.matches - x.written, 0) as unwritten from expansions x where x.tenant = new.tenant
        limit ${MAX_UNFINISHED}
      ) unfinished
    ) earlier
    where earlier.events + new.events > 1
      and (earlier.unwritten + new.unwritten > ${MAX_UNWRITTEN} or earlier.events + new.events > ${MAX_UNFINISHED})
  ), expansion as (
    insert into expansions (event_id, tenant, event_type, patterns, last_subscription, written, matches, first_batch)
    select id, tenant, type, patterns, subscription_id, written, matches, first from estimated
    where not exists (select from refused)
  ), delivery as (
    insert into deliveries (id, event_id, subscription_id, tenant, event_type, state, batch_id)
    select delivery_id(id, subscription_id), id, subscription_id, tenant, type, 'pending',
      batch_id($9, first + (row_number() over (partition by first order by n) - 1) / 100)
    from placed where subscription_id is not null and not exists (select from refused)
    on conflict do nothing
    returning event_id, batch_id
  ), event as (
    insert into events (id, tenant, type, body, delivery_count)
    select s.id, s.tenant, s.type, b.body, s.deliveries
    from stored s join unnest($5::text[]) with ordinality as b (body, n) on b.n = s.n
  )
  select n::int, 'new' as kind, id, deliveries as size, expanding, null as "from", null as "to" from stored
  union all
  select n::int, verdict, event_id, 0, false, null, null from judged where verdict <> 'new'
  union all
  select null, 'batch', batch_id, count(*)::int, false, min(event_id::text), max(event_id::text)
  from delivery group by batch_id
  order by 1`;

/**
 * Stores idempotency keys, events and one delivery per matching subscription, or an expansion that stands for further
 * ones, in one statement and so in one commit.
 *
 * @param batchSeed a new UUIDv7; the ids of the batches are derived from it
 * @throws DatabaseError isMissingPartition, isIdempotencyConflict, expansionBacklogOf (store/errors.ts) and others
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
      events.map(({ batch }) => batch?.key ?? null),
      events.map(({ batch }) => batch?.hash ?? null),
    ],
  });
  return rows;
}
