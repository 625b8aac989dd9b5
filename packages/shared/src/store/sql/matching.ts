import { MIN_ID } from "../../core/ids/id-range.ts";
import { BATCHES_PER_PRIORITY, FLOOD } from "../../core/ids/batch-id.ts";

/** SQL expressions for what subscriptions are matched with. */
export interface Matching {
  tenant: string;
  /** Every pattern that matches the event's type, separated by commas. */
  patterns: string;
  /** How many subscriptions at most; `null` is all. */
  limit: string;
  /** Where an earlier page ended, and the time after which subscriptions are left out. */
  from?: { after: string; createdUntil: string };
}

/**
 * A query for the subscriptions that want an event, in the order of their ids: `subscription_id`, and `place` from 1.
 * Each pattern is a range of the primary key, of which no more than the limit is read. Deleted subscriptions have no
 * patterns, and health never takes part.
 *
 * The time of creation is compared by a subquery, because a join might read all subscriptions.
 */
export const matching = ({ tenant, patterns, limit, from }: Matching): string => `
  select subscription_id, row_number() over (order by subscription_id) as place from (
    select distinct candidate.subscription_id
    from unnest(string_to_array(${patterns}, ',')) as wanted (pattern) cross join lateral (
      select sp.subscription_id from subscription_patterns sp
      where sp.tenant = ${tenant} and sp.pattern = wanted.pattern ${from === undefined ? "" : isIn(from)}
      order by sp.subscription_id limit ${limit}
    ) candidate
    order by 1 limit ${limit}
  ) matched_subscriptions`;

/**
 * The same `subscription_id`s in any order, for events most of which have few matches, which saves a sort for each. A scan
 * that reaches the limit is not used. Each pattern is compared by itself: with `= any (…)` the planner may read all
 * patterns of a tenant instead, which are few on average and many for one.
 */
export const matchingMostlyFew = (asked: Pick<Matching, "tenant" | "patterns"> & { limit: number }): string => `
  with few as materialized (
    select candidate.subscription_id
    from unnest(string_to_array(${asked.patterns}, ',')) as wanted (pattern) cross join lateral (
      select sp.subscription_id from subscription_patterns sp
      where sp.tenant = ${asked.tenant} and sp.pattern = wanted.pattern
      order by sp.subscription_id limit ${asked.limit}
    ) candidate
    limit ${asked.limit}
  )
  select distinct subscription_id from few where (select count(*) from few) < ${asked.limit}
  union all
  select subscription_id from (${matching({ ...asked, limit: String(asked.limit) })}) many
  where (select count(*) from few) = ${asked.limit}`;

const isIn = ({ after, createdUntil }: NonNullable<Matching["from"]>): string => `
      and sp.subscription_id > ${after}
      and (select s.created_at from subscriptions s where s.id = sp.subscription_id) <= ${createdUntil}`;

/** A subscription id before all others. */
export const FIRST_SUBSCRIPTION = `'${MIN_ID}'::uuid`;

/**
 * How many deliveries of a tenant go into the batches that all tenants share, per statement or event: two seconds of the
 * least share of a tenant. The fan-out of an event is known only in the statement that writes it.
 */
export const MAX_SHARED = 200;

/**
 * An SQL expression for the number of the first batch that a delivery may join. Beyond the first MAX_SHARED, deliveries
 * get a priority that rises with each doubling of their number. So neighbours go before them, and the rest of a small
 * fan-out before the rest of a large one.
 *
 * @param count SQL expression of the delivery's place among those of its tenant or event
 */
export const batchBehind = (count: string): string => `case when ${count} > ${MAX_SHARED}
      then (${FLOOD} + floor(ln(${count} / ${MAX_SHARED}.0::float8) / ln(2::float8)))::int * ${BATCHES_PER_PRIORITY}
      else 0 end`;
