import { UnrecoverableError, type Job } from "bullmq";
import { within } from "@postrider/shared/concurrency/within.ts";
import type { RetryJob } from "@postrider/shared/queue/jobs.ts";
import type { Context } from "../context.ts";
import { deliverWithin } from "../deliver/deliver-within.ts";
import { GIVEN_BACK } from "../deliver/apply-transition.ts";
import { deadLetterPoison } from "../deliver/poison.ts";
import type { Result, Work } from "../delivery.ts";
import { keepLeases, type JobLease } from "../job/lease.ts";
import { backoffStrategy, INTERNAL_RETRY_MS, RetryLater } from "../job/retry-later.ts";
import { laneOptions, LaneWorker, pauseDuringOutages, type Lane } from "./lane.ts";

/** A job that takes longer hangs because of a bug. It is given up, so that its lock is not renewed for ever. */
const JOB_DEADLINE_MS = 6 * 60_000;
const GIVEN_BACK_MS = 100;
/**
 * A retry waits for its slot in one of the lane's places. After this it is put back, so that no tenant's retries keep
 * all places. It is longer than the second after which a blocked delivery is held.
 */
const MAX_WAIT_MS = 1_500;
/** The same in the last quarter of the places, for a retry that others may overtake: they wait for those places. */
const MAX_WAIT_IN_RESERVE_MS = 250;
const RESERVE = 1 / 4;
const PUT_BACK_MS = 1_000;
/** Clocks of workers may differ by this much without a job running twice. */
const EARLY_MS = 500;

/**
 * The retry lane: one BullMQ job per delivery that waits for its next attempt. BullMQ delays the job; how long, and
 * whether there is a next attempt, is committed in Postgres before the job ends. Tenants take turns: a retry's priority
 * is its place among those of its tenant that are due in the same second.
 */
export function startRetryLane(context: Context): Lane {
  const { settings, queues, retryTurns, suspects, log } = context;
  const stopping = new AbortController();
  const worker = new LaneWorker<RetryJob>("retry", (job, _token, signal) => run(job, signal!), {
    ...laneOptions(context),
    concurrency: settings.maxInFlight,
    settings: { backoffStrategy },
  });
  worker.on("error", context.onRedisError);
  const endPauses = pauseDuringOutages(worker, context);
  const leases = keepLeases(worker, settings.lockDurationMs, stopping.signal);
  /** Retries that wait for a slot in this lane. */
  let waiting = 0;

  async function run(job: Job<RetryJob>, cancelled: AbortSignal): Promise<void> {
    if (leases.endEarlier(job.id!)) {
      // The lock lapsed, and the job came back to this process while its first run is under way: wait for that one.
      await suspects.takeBack(queues.retry, job.id!);
      throw new RetryLater("still under way", INTERNAL_RETRY_MS);
    }
    try {
      await leases.hold(job.id!, cancelled, (lease) => attemptAgain(job, lease));
    } finally {
      // The lock was lost. Another worker may have the job, and believe that this one died.
      if (cancelled.aborted) await suspects.takeBack(queues.retry, job.id!);
    }
  }

  /** @throws RetryLater if it must not be tried now */
  async function attemptAgain(job: Job<RetryJob>, lease: JobLease): Promise<void> {
    // A fetch that had begun before the outage.
    if (context.recorder.outage.isUnderWay) throw new RetryLater("attempts cannot be recorded", INTERNAL_RETRY_MS);
    const verdict = await suspects.judge(job);
    if (verdict.kind === "later") throw new RetryLater("workers died while they delivered this", verdict.delayMs);
    let result: Result = GIVEN_BACK;
    try {
      const work = await loadIfDue(job);
      if (!work) return;
      const isPoison = verdict.kind === "poison";
      result = await withDeadline(
        context,
        isPoison ? deadLetterPoison(context, work.delivery) : deliverInPlace(job, work, lease),
      );
      if (result.kind === "retrying") await takeTurn(job, work.delivery.tenant, result.delayMs);
    } finally {
      if (verdict.kind === "try") await verdict.end(result.kind !== "given_back");
    }
    if (result.kind === "retrying") await suspects.forget(job);
    endJob(result);
  }

  /** @returns undefined where the job has nothing to do */
  async function loadIfDue(job: Job<RetryJob>): Promise<Work | undefined> {
    const work = await context.loadWork(job.data.delivery);
    // Deleted by retention, or of an earlier cycle.
    if (!work || work.delivery.cycle !== job.data.cycle) return undefined;
    const { state, deadReason, lastError, dueInMs } = work.delivery;
    if (state === "dead") throw new UnrecoverableError(`${deadReason}: ${lastError ?? ""}`);
    if (state !== "retrying") return undefined;
    // The lock was lost before the job could be delayed, or Redis came back with older data.
    if (dueInMs !== null && dueInMs > EARLY_MS) throw new RetryLater("not due yet", dueInMs);
    return work;
  }

  /** @throws RetryLater if the retry has waited too long for a slot */
  function deliverInPlace(job: Job<RetryJob>, work: Work, lease: JobLease): Promise<Result> {
    const isInReserve = job.priority > 0 && waiting >= settings.maxInFlight * (1 - RESERVE);
    const maxWaitMs = isInReserve ? MAX_WAIT_IN_RESERVE_MS : MAX_WAIT_MS;
    waiting += 1;
    return deliverWithin(context, work, lease, { maxWaitMs, putBackMs: () => PUT_BACK_MS }, () => (waiting -= 1));
  }

  /** The next attempt takes its turn among those of its tenant that are due then. */
  async function takeTurn(job: Job<RetryJob>, tenant: string, delayMs: number): Promise<void> {
    const activeJobKey = queues.retry.toKey(job.id!);
    await retryTurns([{ tenant, delayMs, isManual: false, activeJobKey }]).catch((error: unknown) =>
      log.debug({ err: error, job: job.id }, "could not count a retry; it keeps its priority"),
    );
  }

  return {
    async stop() {
      stopping.abort();
      endPauses();
      await worker.close();
    },
  };
}

const TOO_LONG: Result = { kind: "retrying", delayMs: INTERNAL_RETRY_MS, error: "internal: took too long" };

/** A record that Postgres commits after the deadline is still applied, by compare-and-set. */
async function withDeadline({ recorder }: Context, result: Promise<Result>): Promise<Result> {
  for (;;) {
    const ended = await within<Result | undefined>(JOB_DEADLINE_MS, result, () => undefined);
    if (ended) return ended;
    // What was sent waits for its record, and its job for it: another worker would send it again.
    if (!recorder.outage.isUnderWay) return TOO_LONG;
  }
}

/** Ends the job like its delivery: completed, delayed or failed. BullMQ takes the last two as errors. */
function endJob(result: Result): void {
  switch (result.kind) {
    case "done":
      return;
    case "retrying":
      throw new RetryLater(result.error, result.delayMs);
    case "dead":
      throw new UnrecoverableError(`${result.reason}: ${result.error}`);
    case "given_back":
      // Thrown, because BullMQ renews locks by job id, and stops that before it makes the job available again.
      throw new RetryLater("given back", GIVEN_BACK_MS);
  }
}
