import type { Queryable } from "../pool.ts";
import { acceptValues, eventsAndResult, JUDGED, type AcceptedEvent, type AcceptRow } from "../accept-steps.ts";
import { batchBehind } from "./matching.ts";

/** An event with as many deliveries is not stored by this statement. Up to here, each takes a few milliseconds at most. */
export const LARGE_FAN_OUT = 200;
/** How many deliveries the statement writes in all, at about 25 µs each, because neighbours wait for it. */
const MAX_PER_STATEMENT = 5_000;

/**
 * Almost all events have few deliveries, and the steps for others (store/sql/accept-large-fan-outs.ts) cost a third more
 * even where they have nothing to do. So this statement fails if an event has many, or all together have too many
 * (refuse_large_fan_outs), after it has read no more than its limits. `delivery` asks for that first, so that a refused
 * statement writes no deliveries.
 *
 * Each pattern is compared by itself: with `= any (…)` the planner may read all patterns of a tenant instead, which are
 * few on average and many for one; and in the order of the index, since without one it may read the whole table to find
 * that a pattern has no match. `matched` has a row for every event, also without a match, since the planner can't
 * estimate the number of events, and may plan joins badly.
 */
const TEXT = `${JUDGED}, matched as materialized (
    select n, id, tenant, type, first_batch, subscription_id, false as expanding,
      count(subscription_id) over of_event as deliveries, row_number() over of_event as place,
      count(subscription_id) over (partition by tenant order by n rows unbounded preceding) as of_tenant
    from (
      select j.n, j.id, j.tenant, j.type, j.first_batch, wanting.subscription_id
      from judged j left join lateral (
        select distinct candidate.subscription_id
        from unnest(string_to_array(j.patterns, ',')) as wanted (pattern) cross join lateral (
          select p.subscription_id from subscription_patterns p
          where p.tenant = j.tenant and p.pattern = wanted.pattern
          order by p.subscription_id limit ${LARGE_FAN_OUT}
        ) candidate
      ) wanting on true
      where j.verdict = 'new'
      limit ${MAX_PER_STATEMENT + 1}
    ) wanted
    window of_event as (partition by tenant, n)
  ), refused as materialized (
    select refuse_large_fan_outs(
      array_agg(n) filter (where place = 1 and deliveries >= ${LARGE_FAN_OUT})
    ) from matched
    having count(*) > ${MAX_PER_STATEMENT} or max(deliveries) >= ${LARGE_FAN_OUT}
  ), placed as (
    select *, greatest(first_batch, ${batchBehind("of_tenant")}) as first
    from matched where subscription_id is not null and not exists (select from refused)
  ), delivery as (
    insert into deliveries (id, event_id, subscription_id, tenant, event_type, state, batch_id)
    select delivery_id(id, subscription_id), id, subscription_id, tenant, type, 'pending',
      batch_id($9, first + (row_number() over (partition by first order by n) - 1) / 100)
    from placed
    returning event_id, batch_id
  ), stored as (
    select n, id, tenant, type, deliveries::int as deliveries, expanding from matched where place = 1
  )${eventsAndResult("stored")}`;

/**
 * Stores idempotency keys, events and one delivery per matching subscription in one statement and so in one commit.
 *
 * @param batchSeed a new UUIDv7; the ids of the batches are derived from it
 * @throws DatabaseError isMissingPartition, isIdempotencyConflict, largeFanOutsOf (store/errors.ts) and others
 */
export async function acceptEvents(
  db: Queryable,
  events: readonly AcceptedEvent[],
  batchSeed: string,
): Promise<AcceptRow[]> {
  return (await db.query<AcceptRow>({ name: "accept", text: TEXT, values: acceptValues(events, batchSeed) })).rows;
}
