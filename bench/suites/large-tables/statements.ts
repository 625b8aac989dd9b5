import { familyRange, firstIdAt, MAX_ID } from "../../../packages/shared/src/core/ids/id-range.ts";
import { newId } from "../../../packages/shared/src/runtime/new-id.ts";
import { acceptEvents } from "../../../packages/shared/src/store/sql/accept.ts";
import { acceptLargeFanOuts } from "../../../packages/shared/src/store/sql/accept-large-fan-outs.ts";
import type { Paging } from "../../../packages/shared/src/store/bounded-list.ts";
import { cancelHeldRows, cancelRetryingRows } from "../../../packages/shared/src/store/sql/cancel-unfinished.ts";
import { countDead } from "../../../packages/shared/src/store/sql/count-dead.ts";
import { countHeldByReason } from "../../../packages/shared/src/store/sql/count-held-by-reason.ts";
import { countHeldPage } from "../../../packages/shared/src/store/sql/count-held-page.ts";
import { countPendingPage } from "../../../packages/shared/src/store/sql/count-pending-page.ts";
import { countRetryingPage } from "../../../packages/shared/src/store/sql/count-retrying-page.ts";
import { deliveryCounts } from "../../../packages/shared/src/store/sql/delivery-counts.ts";
import { expireHeldRows } from "../../../packages/shared/src/store/sql/expire-held.ts";
import { expirePartitionRows } from "../../../packages/shared/src/store/sql/expire-partition.ts";
import { findPastDueRetries } from "../../../packages/shared/src/store/sql/find-past-due-retries.ts";
import { findPendingBatches } from "../../../packages/shared/src/store/sql/find-pending-batches.ts";
import { findRecorded } from "../../../packages/shared/src/store/sql/find-recorded.ts";
import { findReleased } from "../../../packages/shared/src/store/sql/find-released.ts";
import { findRetryable } from "../../../packages/shared/src/store/sql/find-retryable.ts";
import { findStillDue } from "../../../packages/shared/src/store/sql/find-still-due.ts";
import { findStillHeld } from "../../../packages/shared/src/store/sql/find-still-held.ts";
import { findStillPending } from "../../../packages/shared/src/store/sql/find-still-pending.ts";
import { findSubscriptionsWithHeld } from "../../../packages/shared/src/store/sql/find-subscriptions-with-held.ts";
import { foldHeldChangeRows } from "../../../packages/shared/src/store/sql/fold-held-changes.ts";
import { hasReleasable } from "../../../packages/shared/src/store/sql/has-releasable.ts";
import { type DeliveryListFilter, listDeliveryRows } from "../../../packages/shared/src/store/sql/list-deliveries.ts";
import { listEventRows } from "../../../packages/shared/src/store/sql/list-events.ts";
import { listSubscriptionRows } from "../../../packages/shared/src/store/sql/list-subscriptions.ts";
import { loadAndHoldBatchRows } from "../../../packages/shared/src/store/sql/load-and-hold-batch.ts";
import { loadBatchesRows } from "../../../packages/shared/src/store/sql/load-batches.ts";
import { loadBodyRows } from "../../../packages/shared/src/store/sql/load-bodies.ts";
import { loadDeliveriesByIds } from "../../../packages/shared/src/store/sql/load-deliveries-by-ids.ts";
import { loadSubscriptionRows } from "../../../packages/shared/src/store/sql/load-subscriptions.ts";
import { markProbed } from "../../../packages/shared/src/store/sql/mark-probed.ts";
import { nextToProbeWith } from "../../../packages/shared/src/store/sql/next-to-probe-with.ts";
import { pollReleasedRows } from "../../../packages/shared/src/store/sql/poll-released.ts";
import { readHeld } from "../../../packages/shared/src/store/sql/read-held.ts";
import { readOldestDue } from "../../../packages/shared/src/store/sql/read-oldest-due.ts";
import { recordAttempts } from "../../../packages/shared/src/store/sql/record-attempts.ts";
import { releaseLongestHeldRows } from "../../../packages/shared/src/store/sql/release-longest-held.ts";
import { retryDeliveryRow } from "../../../packages/shared/src/store/sql/retry-delivery.ts";
import { splitPoisonBatchRows } from "../../../packages/shared/src/store/sql/split-poison-batch.ts";
import type { Queryable } from "../../../packages/shared/src/store/pool.ts";
import type { Sample, Samples } from "./sample.ts";
import { DAYS, LARGE_TENANT, SMALL_TENANT } from "./seed.ts";

/** A call of a statement as the apps make it, and the pages that it may read. */
export interface Call {
  name: string;
  /** Under the settings of the API's reads, and not of a worker. */
  isList?: boolean;
  max: number;
  run: (db: Queryable) => Promise<unknown>;
}

/** For a look at each partition's index, of all of its levels. */
const PARTITIONS = 400;
/** For reading a row by its id, and its event's. */
const READ = 15;
/** For finding a hundred rows by id that are spread over all days: each id is looked for on each day. */
const SPREAD = 100 * DAYS * 4;
/** For changing a row: its entries in all indexes, each found from the root. */
const CHANGE = 100;
/** The walk of a list whose filters leave out all that it reads, and each row's page. */
const WALK = 15_000;

const NOT_FILTERED: DeliveryListFilter = { tenant: null, event: null, state: null, subscription: null };
const NEWEST: Paging = { order: "desc", before: MAX_ID, from: firstIdAt(0), limit: 51 };

const idsOf = (rows: readonly Sample[]) => rows.map(({ id }) => id);

/** No index finds the retrying deliveries of a subscription, so all that are retrying are walked when it is deleted. */
export const UNBOUNDED = Number.MAX_SAFE_INTEGER;

/** The lists: by each index, where all rows match and where none does. */
function lists({ held, busy, inState }: Samples): Call[] {
  const list = (name: string, max: number, filter: Partial<DeliveryListFilter>, paging = NEWEST): Call => ({
    name: `list deliveries ${name}`,
    isList: true,
    max,
    run: (db) => listDeliveryRows(db, paging, { ...NOT_FILTERED, ...filter }),
  });
  const page = PARTITIONS + 51 * 2;
  const events = (name: string, max: number, tenant: string | null, type: string | null): Call => ({
    name: `list events ${name}`,
    isList: true,
    max,
    run: (db) => listEventRows(db, NEWEST, { tenant, type }),
  });
  const event = inState.delivered[0]!.event;
  return [
    list("of all", page, {}),
    list("of all, a status that none has", WALK, { state: "cancelled" }),
    list("of all, dead", page, { state: "dead" }),
    list("of a small tenant", page, { tenant: SMALL_TENANT }),
    list("of a small tenant, dead", page, { tenant: SMALL_TENANT, state: "dead" }),
    list("of a large tenant", page, { tenant: LARGE_TENANT }),
    list("of a large tenant, a status that none has", WALK, { tenant: LARGE_TENANT, state: "cancelled" }),
    list("of a large tenant, dead", page, { tenant: LARGE_TENANT, state: "dead" }),
    list("of a subscription", page, { subscription: busy, tenant: LARGE_TENANT }),
    list("of a subscription, a status that none has", WALK, { subscription: busy, state: "cancelled" }),
    list("of a subscription, held", page, { subscription: held, state: "held" }),
    list("of an event", page, { event }, { ...NEWEST, ...toPaging(familyRange([event])) }),
    events("of all", page, null, null),
    events("of all, a type that none has", WALK, null, "none"),
    events("of a small tenant", page, SMALL_TENANT, null),
    events("of a large tenant, a type that none has", WALK, LARGE_TENANT, "none"),
    { name: "list subscriptions of a tenant", isList: true, max: 200, run: (db) => listSubscriptionRows(db, NEWEST, { tenant: SMALL_TENANT, status: null }) }, // prettier-ignore
    { name: "list subscriptions, a status that none has", isList: true, max: WALK, run: (db) => listSubscriptionRows(db, NEWEST, { tenant: null, status: "disabled" }) }, // prettier-ignore
    { name: "count a page of 100 pending", isList: true, max: PARTITIONS + 1_000, run: (db) => countPendingPage(db, undefined, 100) }, // prettier-ignore
    { name: "count a page of 100 retrying", isList: true, max: PARTITIONS + 100 * 30, run: (db) => countRetryingPage(db, undefined, 100) }, // prettier-ignore
    { name: "count the held of 100 subscriptions", isList: true, max: 1_000, run: (db) => countHeldPage(db, undefined, 100) }, // prettier-ignore
    { name: "read held of 100 subscriptions", isList: true, max: 100 * PARTITIONS, run: (db) => readHeld(db, inState.held.map(({ subscription }) => subscription)) }, // prettier-ignore
  ];
}

const toPaging = ({ from, to }: { from: string; to: string }) => ({ from, before: to, limit: 51 });

/** What workers and the console run. */
function others({ held, busy, inState, pending, partition }: Samples): Call[] {
  const { retrying, delivered } = inState;
  const ids = idsOf(retrying);
  const batch = { id: pending[0]!.batch!, ...familyRange(idsOf(pending)) };
  const record = { transition: { state: "delivered" }, scheduleStep: 2, lastError: null, attempt: undefined } as const;
  const call = (name: string, max: number, run: Call["run"]): Call => ({ name, max, run });
  return [
    call("accept an event for 10 subscriptions", 10 * CHANGE + 1_000, (db) => acceptEvents(db, [newEvent()], newId())),
    call("the same by the statement for large fan-outs", 10 * CHANGE + 1_000, (db) =>
      acceptLargeFanOuts(db, [newEvent()], newId()),
    ),
    call("record 100 over all days", SPREAD + 100 * CHANGE, (db) => recordAttempts(db, retrying.map(({ id }) => ({ ...record, delivery: { id, state: "retrying", cycle: 0, attemptCount: 1 } })))), // prettier-ignore
    call("find 100 recorded", SPREAD, (db) => findRecorded(db, idsOf(delivered))),
    call("load 100 over all days by id", 2 * SPREAD, (db) => loadDeliveriesByIds(db, ids)),
    call("load a batch", PARTITIONS, (db) => loadBatchesRows(db, [batch.id], batch)),
    call("load and hold a batch", PARTITIONS + CHANGE, (db) => loadAndHoldBatchRows(db, batch, [], new Map([[pending[0]!.subscription, "breaker"]]))), // prettier-ignore
    call("load 100 bodies over all days", SPREAD, (db) =>
      loadBodyRows(
        db,
        delivered.map(({ event }) => event),
      ),
    ),
    call("load 100 subscriptions", 100 * READ, (db) => loadSubscriptionRows(db, delivered.map(({ subscription }) => subscription))), // prettier-ignore
    call("count deliveries of 100 events", SPREAD, (db) =>
      deliveryCounts(
        db,
        delivered.map(({ event }) => event),
      ),
    ),
    call("split a poison batch", PARTITIONS + CHANGE, (db) => splitPoisonBatchRows(db, batch, newId())),
    call("release 128", 128 * CHANGE + PARTITIONS, (db) => releaseLongestHeldRows(db, held, { count: 128, batchSize: 64, batchStem: newId() })), // prettier-ignore
    call("poll 100 released", SPREAD, (db) => pollReleasedRows(db, ids)),
    call("find released", PARTITIONS, (db) => findReleased(db, held)),
    call("next to probe with", PARTITIONS + 200, (db) => nextToProbeWith(db, held)),
    call("mark probed", 2 * CHANGE, (db) => markProbed(db, inState.held[0]!.id)),
    call("has releasable", PARTITIONS, (db) => hasReleasable(db, held)),
    call("cancel 1,000 held", 2_000 * CHANGE, (db) => cancelHeldRows(db, held, 1_000, undefined)),
    call("cancel the retrying of a subscription", UNBOUNDED, (db) => cancelRetryingRows(db, busy)),
    call("expire 1,000 held", 2_000 * CHANGE, (db) => expireHeldRows(db, { holdLimitMs: 1_000, now: Date.now(), limit: 1_000 })), // prettier-ignore
    call("expire 1,000 of a partition in each state", 3_000 * CHANGE, (db) =>
      expirePartitionRows(db, partition, 1_000),
    ),
    call("fold 10,000 held changes", 60_000, (db) => foldHeldChangeRows(db, 10_000)),
    call("count held by reason", 500, countHeldByReason),
    call("count dead", 10_000, (db) => countDead(db, firstIdAt(Date.now() - 86_400_000), 10_000)),
    call("read the oldest due", 2 * PARTITIONS, readOldestDue),
    call("watchdog: 500 pending batches", PARTITIONS + 1_000, (db) => findPendingBatches(db, undefined, 500)),
    call("watchdog: 500 retries past due", PARTITIONS + 500 * 30, (db) =>
      findPastDueRetries(db, undefined, 2_000, 500),
    ),
    call("watchdog: 500 subscriptions with held", 500 * PARTITIONS, (db) => findSubscriptionsWithHeld(db, undefined, 500)), // prettier-ignore
    call("watchdog: 100 still due", SPREAD, (db) => findStillDue(db, ids, 2_000)),
    call("watchdog: 100 still held", 100 * PARTITIONS, (db) => findStillHeld(db, inState.held.map(({ subscription }) => subscription))), // prettier-ignore
    call("watchdog: 100 still pending", 100 * PARTITIONS, (db) => findStillPending(db, pending.map((row) => row.batch!))), // prettier-ignore
    call("find a retryable", READ * 2, (db) => findRetryable(db, ids[0]!)),
    call("retry one", 2 * CHANGE, (db) => retryDeliveryRow(db, { id: inState.dead[0]!.id, state: "dead", cycle: 0 })),
  ];
}

const newEvent = () => ({
  id: newId(),
  tenant: SMALL_TENANT,
  type: "bench.large",
  patterns: ["bench.large", "bench.*", "*"],
  body: ["{}"],
  idempotencyKey: undefined,
  hash: null,
  isAlone: true,
  firstBatch: 0,
});

export const callsOn = (samples: Samples): Call[] => [...lists(samples), ...others(samples)];
