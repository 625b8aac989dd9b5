import type { Queryable } from "../pool.ts";

/** How long ago each of these happened to a subscription, in milliseconds; null where it did not. */
export interface HealthRecord {
  subscriptionId: string;
  successMsAgo: number | null;
  failureMsAgo: number | null;
  /** Why the attempt of `failureMsAgo` failed; null keeps the row's text. */
  error: string | null;
  /** When the breaker opened, or opened again after a failed probe. */
  openedMsAgo: number | null;
  /** What the outcomes were: those of a subscription that was changed since are not written. Null: of any. */
  revision: string | null;
}

export interface OutagePolicy {
  /** An outage of this length disables the subscription. */
  disableAfterMs: number;
  /** A failure after a longer time without one starts a new outage. */
  silenceMs: number;
}

// An outcome of a subscription that was changed since, perhaps to another URL, is not written. The rows are locked in the
// order of their ids, so two workers with common subscriptions can't deadlock. Another worker may have written meanwhile,
// so an older time never replaces a newer one.
const TEXT = `
  with locked as materialized (
    select s.id as found, s.status as was, s.failing_since as since,
      coalesce(s.last_failure_at, s.failing_since) as failed_before,
      now() - i.success * interval '1 millisecond' as succeeded_at,
      now() - i.failure * interval '1 millisecond' as failed_at,
      now() - i.opened * interval '1 millisecond' as opened_at, i.error
    from subscriptions s
    join unnest($1::uuid[], $2::float8[], $3::float8[], $4::text[], $5::float8[], $8::timestamptz[])
      as i (id, success, failure, error, opened, revision)
      on i.id = s.id and coalesce(i.revision, s.updated_at) = s.updated_at
    order by s.id for no key update of s
  ), continued as (
    select *, case
        when since is null or succeeded_at >= since then null
        when failed_before < failed_at - $7 * interval '1 millisecond' then failed_at
        else since
      end as kept
    from locked
  ), begun as (
    select *, coalesce(kept, case when opened_at > succeeded_at is not false then opened_at end) as outage
    from continued
  ), judged as (
    select *, was = 'active' and outage <= opened_at - $6 * interval '1 millisecond' is true as expired from begun
  )
  update subscriptions set
    last_success_at = greatest(last_success_at, succeeded_at),
    last_failure_at = greatest(last_failure_at, failed_at),
    last_error = case when failed_at >= last_failure_at is not false then coalesce(error, last_error)
      else last_error end,
    failing_since = outage,
    status = case when expired then 'disabled' else status end,
    disabled_reason = case when expired then 'failing' else disabled_reason end,
    updated_at = case when expired then now() else updated_at end
  from judged where id = found
  returning id, expired`;

/**
 * Writes the last success and the last failure of subscriptions, each of which may occur once. The first opening of a
 * breaker starts an outage, and a success ends it. Subscriptions are disabled when their outage has lasted for
 * `disableAfterMs` and their breaker opens again.
 *
 * @returns the ids of the subscriptions that it disabled
 */
export async function recordHealth(
  db: Queryable,
  records: readonly HealthRecord[],
  { disableAfterMs, silenceMs }: OutagePolicy,
): Promise<string[]> {
  const { rows } = await db.query<{ id: string; expired: boolean }>({
    name: "record-health",
    text: TEXT,
    values: [
      records.map(({ subscriptionId }) => subscriptionId),
      records.map(({ successMsAgo }) => successMsAgo),
      records.map(({ failureMsAgo }) => failureMsAgo),
      records.map(({ error }) => error),
      records.map(({ openedMsAgo }) => openedMsAgo),
      disableAfterMs,
      silenceMs,
      records.map(({ revision }) => revision),
    ],
  });
  return rows.filter(({ expired }) => expired).map(({ id }) => id);
}
