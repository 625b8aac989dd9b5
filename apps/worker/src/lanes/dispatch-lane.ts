import { setTimeout as sleep } from "node:timers/promises";
import type { Job } from "bullmq";
import type { Batch, DispatchJob } from "@postrider/shared/queue/jobs.ts";
import { now } from "@postrider/shared/runtime/clock.ts";
import type { Context } from "../context.ts";
import { deliverBatch } from "../deliver/deliver-batch.ts";
import { deadLetterPoisonBatch, splitPoisonBatch } from "../deliver/poison.ts";
import { RenewableLease, type JobLease } from "../job/lease.ts";
import { Semaphore } from "../job/semaphore.ts";
import { createFetch, type FetchedJob } from "./fetch-jobs.ts";
import { laneOptions, LaneWorker, type Lane } from "./lane.ts";
import { promoteDeferred } from "./promote-deferred.ts";

/** How many large batches, or groups of small ones, may be fetched and loaded at once, without bodies that wait. */
const MAX_LOADING = 2;
/** How often a full worker checks for a batch without a priority. BullMQ serves those before all others. */
const POLL_MS = 20;
/** Even a full worker fetches this often: its requests may be blocked by slow subscribers, and others could be sent. */
const MAX_PAUSE_MS = 250;
const REDIS_RETRY_MS = 1_000;
/** Each worker takes one batch per second, 100 deliveries, from behind: the least share of a tenant in front. */
const PROMOTE_MS = 1_000;
/** A batch that failed, or whose earlier run is still under way, runs again after this. */
const POSTPONE_MS = 1_000;
/** A suspect is marked while it waits, and its worker may die of something else meanwhile. So it does not wait long. */
const MAX_SUSPECT_WAIT_MS = 1_500;

interface BatchLimits {
  /** A batch older than this acquires no more slots and is given back; its requests on the wire are finished. */
  deadlineMs: number;
  /** How long after its deadline a batch may finish. Then its lock is no longer renewed, and the batch is requeued. */
  graceMs: number;
}

const BATCH_LIMITS: BatchLimits = { deadlineMs: 5 * 60_000, graceMs: 90_000 };

interface ActiveJob {
  token: string;
  lease: RenewableLease;
  startedAt: number;
  /** False once the lock is lost: it is no longer renewed, while the requests on the wire are finished. */
  isLocked: boolean;
}

/**
 * The dispatch lane. BullMQ's own loop limits jobs, so a batch that waits for one slow response would block others.
 * This lane fetches by hand: a job whenever few loaded deliveries wait for a slot, however many jobs are unfinished.
 * https://docs.bullmq.io/patterns/manually-fetching-jobs
 */
export function startDispatchLane(context: Context, limits = BATCH_LIMITS): Lane {
  const { settings, slots, bodies, suspects, queues, log } = context;
  const { outage } = context.recorder;
  const { lockDurationMs } = settings;
  const stopping = new AbortController();
  const loading = new Semaphore(MAX_LOADING);
  /** Jobs under way in this process, with or without their locks. A job that hangs for too long is removed. */
  const active = new Map<string, ActiveJob>();
  const running = new Set<Promise<void>>();
  const worker = new LaneWorker<DispatchJob>("dispatch", null, laneOptions(context));
  worker.on("error", context.onRedisError);
  worker.on("stalled", (jobId) => log.warn({ batch: jobId }, "requeued a batch whose worker died"));
  void worker.startStalledCheckTimer();
  const fetchJobs = createFetch(worker, context.onRedisError);

  const looping = loop();
  const renewing = setInterval(() => void renewLocks(), lockDurationMs / 4);
  const promoting = setInterval(() => void promoteDeferred(context).catch(() => undefined), PROMOTE_MS);

  async function loop(): Promise<void> {
    while (!stopping.signal.aborted) {
      await waitForCapacity();
      if (!(await loading.acquire(stopping.signal))) return;
      const jobs = await fetch();
      let unqueued = jobs.length;
      const onQueued = () => (unqueued -= 1) === 0 && loading.release();
      if (jobs.length === 0) loading.release();
      for (const { job, token } of jobs) track(run(job, token, onQueued));
    }
  }

  /**
   * Waits until this worker is not full, and can record what it sends. Even a full worker fetches a batch without a priority, so that its deliveries
   * are not delayed by those of a tenant that exceeds its share.
   */
  async function waitForCapacity(): Promise<void> {
    await outage.untilOver(stopping.signal);
    const since = performance.now();
    while ((slots.isFull || bodies.isFull) && !stopping.signal.aborted) {
      const isOverfull = slots.isOverfull || bodies.isOverfull;
      if (!isOverfull && (performance.now() - since > MAX_PAUSE_MS || (await hasUrgent()))) return;
      if (slots.isFull) await slots.waitForCapacity(stopping.signal, POLL_MS);
      else await pause(POLL_MS);
    }
  }

  const pause = (ms: number) => sleep(ms, undefined, { signal: stopping.signal }).catch(() => undefined);

  const hasUrgent = () =>
    context.redis.llen(queues.dispatch.toKey("wait")).then(
      (waiting) => waiting > 0,
      () => false,
    );

  async function fetch(): Promise<FetchedJob[]> {
    try {
      return await fetchJobs(slots.isFull || bodies.isFull);
    } catch (error) {
      context.onRedisError(error as Error);
      await pause(REDIS_RETRY_MS);
      return [];
    }
  }

  function track(run: Promise<void>): void {
    running.add(run);
    void run.finally(() => running.delete(run));
  }

  /** @param onceQueued called once, when the next job may be fetched */
  async function run(job: Job<DispatchJob>, token: string, onceQueued: () => void): Promise<void> {
    const id = job.id!;
    let isLoading = true;
    const onQueued = () => {
      if (isLoading) onceQueued();
      isLoading = false;
    };
    if (active.has(id)) {
      // The lock lapsed, and the job came back to this process while its requests are on the wire: wait for those.
      onQueued();
      await suspects.takeBack(queues.dispatch, id);
      await postpone(job, token);
      return;
    }
    const entry = activate(id, token);
    const deadline = setTimeout(() => entry.lease.end(), limits.deadlineMs);
    let finish = () => postpone(job, token);
    try {
      finish = await work(job, token, entry.lease, onQueued);
    } catch (error) {
      log.error({ err: error, batch: id }, "could not deliver a batch because of an internal error; postponing it");
    }
    clearTimeout(deadline);
    onQueued();
    // Another worker may have the job, and believe that this one died.
    if (!entry.isLocked) await suspects.takeBack(queues.dispatch, id);
    // Before the lock is released: another lane, or this one, may take the job right after.
    if (active.get(id) === entry) active.delete(id);
    await finish();
  }

  /** @returns how the job ends */
  async function work(job: Job<DispatchJob>, token: string, lease: JobLease, onQueued: () => void) {
    const { from, to, size } = job.data;
    const batch = { id: job.id!, from, to, size };
    const end = (isFinished: boolean) => () => (isFinished ? complete(job, token) : giveBack(job, token));
    // A fetch that had begun before the outage.
    if (outage.isUnderWay) return end(false);
    const isSuspect = suspects.isSuspect(job);
    if (isSuspect && !job.data.suspicion && (await splitPoisonBatch(context, batch))) return end(true);
    const verdict = await suspects.judge(job);
    switch (verdict.kind) {
      case "later":
        return () => postpone(job, token, verdict.delayMs);
      case "poison":
        await deadLetterPoisonBatch(context, batch);
        return end(true);
      case "try": {
        if (!isSuspect) return end(await deliverBatch(context, batch, lease, { onQueued }));
        let isFinished = false;
        try {
          isFinished = await deliverSuspect(batch, lease, onQueued);
        } finally {
          await verdict.end(isFinished);
        }
        return isFinished ? end(true) : () => postpone(job, token);
      }
    }
  }

  async function deliverSuspect(batch: Batch, lease: JobLease, onQueued: () => void) {
    const tooLong = new AbortController();
    const timer = setTimeout(() => tooLong.abort(), MAX_SUSPECT_WAIT_MS);
    const patience = { signal: AbortSignal.any([lease.signal, tooLong.signal]), isHeld: () => lease.isHeld() };
    const onStarted = () => clearTimeout(timer);
    return deliverBatch(context, batch, patience, { onQueued, onStarted }).finally(onStarted);
  }

  function activate(id: string, token: string): ActiveJob {
    const lease = new RenewableLease(lockDurationMs, stopping.signal);
    const entry = { token, lease, startedAt: performance.now(), isLocked: true };
    active.set(id, entry);
    return entry;
  }

  // Each of these fails if the lock is lost. Then another worker has the job, or the stalled check requeues it.
  const complete = (job: Job, token: string) => moveJob(job, () => job.moveToCompleted("", token, false));
  const giveBack = (job: Job, token: string) => moveJob(job, () => job.moveToWait(token));
  const postpone = (job: Job, token: string, ms = POSTPONE_MS) =>
    moveJob(job, () => job.moveToDelayed(now() + Math.ceil(ms), token));

  async function moveJob(job: Job, move: () => Promise<unknown>): Promise<void> {
    try {
      await move();
    } catch (error) {
      log.debug({ err: error, batch: job.id }, "could not move the job of a batch; leaving it to the stalled check");
    }
  }

  async function renewLocks(): Promise<void> {
    const calledAt = performance.now();
    for (const [id, entry] of active) {
      if (!entry.lease.isHeld()) entry.lease.end();
      // What was sent waits for its record, and has its grace after that.
      if (outage.isUnderWay) entry.startedAt = Math.max(entry.startedAt, calledAt - limits.deadlineMs);
      // It hangs. Without renewals the stalled check requeues the job, for this worker or another one.
      if (calledAt - entry.startedAt > limits.deadlineMs + limits.graceMs) active.delete(id);
    }
    const locked = [...active].filter(([, { isLocked }]) => isLocked);
    if (locked.length === 0) return;
    const ids = locked.map(([id]) => id);
    const tokens = locked.map(([, { token }]) => token);
    try {
      const lost = new Set(await worker.extendJobLocks(ids, tokens, lockDurationMs));
      for (const [id, entry] of locked) {
        if (!lost.has(id)) entry.lease.renew(calledAt);
        else if (active.get(id) === entry) loseLock(id, entry);
      }
    } catch (error) {
      log.debug({ err: error }, "could not renew the locks of batches");
    }
  }

  function loseLock(id: string, entry: ActiveJob): void {
    log.warn({ batch: id }, "lost the lock of a batch; starting none of its other deliveries");
    entry.isLocked = false;
    entry.lease.end();
  }

  return {
    async stop() {
      stopping.abort();
      await looping;
      while (running.size > 0) await Promise.all(running);
      clearInterval(renewing);
      clearInterval(promoting);
      // No job is active any more, and a graceful close would wait for ever while Redis is unreachable.
      await worker.close(true);
    },
  };
}
