import type { Queryable } from "../pool.ts";
import { acceptValues, eventsAndResult, JUDGED, type AcceptedEvent, type AcceptRow } from "../accept-steps.ts";
import { batchBehind, FIRST_SUBSCRIPTION, matchingMostlyFew } from "./matching.ts";

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

/**
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
 * row for every event that was matched, also without a match.
 */
const TEXT = `${JUDGED}, matched as materialized (
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
  )${eventsAndResult("stored")}`;

/**
 * Stores what acceptEvents() stores, whatever the fan-outs: one delivery per matching subscription, or an expansion that
 * stands for further ones.
 *
 * @throws DatabaseError isMissingPartition, isIdempotencyConflict, expansionBacklogOf (store/errors.ts) and others
 */
export async function acceptLargeFanOuts(
  db: Queryable,
  events: readonly AcceptedEvent[],
  batchSeed: string,
): Promise<AcceptRow[]> {
  const values = acceptValues(events, batchSeed);
  return (await db.query<AcceptRow>({ name: "accept-large-fan-outs", text: TEXT, values })).rows;
}
