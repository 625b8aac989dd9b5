import { setTimeout as sleep } from "node:timers/promises";
import { Worker, type Job } from "bullmq";
import type { DispatchJob } from "@postrider/shared/queue/jobs.ts";
import type { Context } from "../context.ts";
import type { JobLease } from "../job/lease.ts";
import { Semaphore } from "../job/semaphore.ts";
import { deliverBatch } from "../deliver/deliver-batch.ts";
import { POISON_STALLS, splitPoisonBatch } from "../deliver/poison.ts";
import { laneOptions, type Lane } from "./lane.ts";

/** How many batches may be on their way from Redis to the slots at once. */
const LOADING = 2;
/** How often a full worker looks whether a batch waits that goes before all others. */
const URGENT_MS = 20;
/** A full worker fetches a batch all the same after this: what waits in it may wait for slow subscribers, and others need not. */
const FULL_MS = 250;
const REDIS_RETRY_MS = 1_000;
/** A batch that cannot be worked on just now comes again after this. */
const POSTPONE_MS = 1_000;
/** How long a batch may take. */
interface BatchLimits {
  /** A batch older than this stops taking slots and is given back; what it has on the wire is finished. */
  deadlineMs: number;
  /** After its deadline a batch has this long to finish; then its lock is no longer renewed, and the stalled check takes it. */
  graceMs: number;
}

const BATCH_LIMITS: BatchLimits = { deadlineMs: 5 * 60_000, graceMs: 90_000 };

interface ActiveJob {
  token: string;
  stop: AbortController;
  startedAt: number;
  renewedAt: number;
  /** False once the lock is lost: it is no longer renewed, while the requests on the wire are finished. */
  isLocked: boolean;
}

/**
 * Takes batches from the dispatch queue. BullMQ's own loop counts jobs; here slots count HTTP requests, and a batch
 * that waits for one slow answer must not keep the others waiting. So this lane fetches by hand: a job whenever few
 * loaded deliveries wait, however many jobs are unfinished.
 * https://docs.bullmq.io/patterns/manually-fetching-jobs
 */
export function startDispatchLane(context: Context, limits = BATCH_LIMITS): Lane {
  const { settings, slots, log } = context;
  const { lockDurationMs } = settings;
  const stopping = new AbortController();
  const loading = new Semaphore(LOADING);
  /** Jobs that this process works on, their locks lost or not; one that hangs for too long is no longer counted. */
  const active = new Map<string, ActiveJob>();
  const running = new Set<Promise<void>>();
  const worker = new Worker<DispatchJob>("dispatch", null, laneOptions(context));
  worker.on("error", context.onRedisError);
  worker.on("stalled", (jobId) => log.warn({ batch: jobId }, "a batch of a worker that died is taken over"));
  void worker.startStalledCheckTimer();

  const looping = loop();
  const renewing = setInterval(() => void renew(), lockDurationMs / 4);

  async function loop(): Promise<void> {
    for (let number = 0; !stopping.signal.aborted; number += 1) {
      await room();
      if (!(await loading.acquire(stopping.signal))) return;
      const token = `${worker.id}:${number}`;
      const job = await fetch(token);
      if (!job) loading.release();
      else track(work(job, token));
    }
  }

  /**
   * Waits until this worker is not full. A batch without a priority, which is taken before those of a tenant that
   * floods, is fetched also by a full worker: its deliveries are next when a slot is free.
   */
  async function room(): Promise<void> {
    const since = performance.now();
    while (slots.isFull && !stopping.signal.aborted) {
      if (!slots.isOverfull && (performance.now() - since > FULL_MS || (await hasUrgent()))) return;
      await slots.waitForCapacity(stopping.signal, URGENT_MS);
    }
  }

  const hasUrgent = () =>
    context.redis.llen(context.queues.dispatch.toKey("wait")).then(
      (waiting) => waiting > 0,
      () => false,
    );

  async function fetch(token: string): Promise<Job<DispatchJob> | undefined> {
    try {
      return await worker.getNextJob(token, { block: true });
    } catch (error) {
      context.onRedisError(error as Error);
      await sleep(REDIS_RETRY_MS, undefined, { signal: stopping.signal }).catch(() => undefined);
      return undefined;
    }
  }

  function track(work: Promise<void>): void {
    running.add(work);
    void work.finally(() => running.delete(work));
  }

  async function work(job: Job<DispatchJob>, token: string): Promise<void> {
    const id = job.id!;
    let isLoading = true;
    const onQueued = () => {
      if (isLoading) loading.release();
      isLoading = false;
    };
    if (active.has(id)) {
      // Our lock lapsed and the job came back to us while we still have its requests on the wire: wait for those.
      onQueued();
      await postpone(job, token);
      return;
    }
    const now = performance.now();
    const entry: ActiveJob = { token, stop: new AbortController(), startedAt: now, renewedAt: now, isLocked: true };
    active.set(id, entry);
    const signal = AbortSignal.any([entry.stop.signal, stopping.signal]);
    const lease: JobLease = {
      signal,
      isHeld: () => !signal.aborted && performance.now() - entry.renewedAt < lockDurationMs,
    };
    const deadline = setTimeout(() => entry.stop.abort(), limits.deadlineMs);
    let finish = () => postpone(job, token);
    try {
      const batch = { id, from: job.data.from, to: job.data.to };
      if (job.stalledCounter >= POISON_STALLS) await splitPoisonBatch(context, batch);
      const isFinished = await deliverBatch(context, batch, lease, onQueued);
      finish = isFinished ? () => complete(job, token) : () => giveBack(job, token);
    } catch (error) {
      log.error({ err: error, batch: id }, "a batch failed in our own code; it will run again");
    }
    clearTimeout(deadline);
    onQueued();
    // Before the lock is let go of: another lane, or this one, may take the job the moment it is.
    if (active.get(id) === entry) active.delete(id);
    await finish();
  }

  // Each of these fails where the lock is no longer ours; then the job is elsewhere already, or the stalled check brings it.
  const complete = (job: Job, token: string) => settle(job, () => job.moveToCompleted("", token, false));
  const giveBack = (job: Job, token: string) => settle(job, () => job.moveToWait(token));
  const postpone = (job: Job, token: string) => settle(job, () => job.moveToDelayed(Date.now() + POSTPONE_MS, token));

  async function settle(job: Job, move: () => Promise<unknown>): Promise<void> {
    try {
      await move();
    } catch (error) {
      log.debug({ err: error, batch: job.id }, "a batch could not be moved; the stalled check will");
    }
  }

  async function renew(): Promise<void> {
    const now = performance.now();
    for (const [id, entry] of active) {
      if (now - entry.renewedAt > lockDurationMs) entry.stop.abort();
      // It hangs: the stalled check gives the job to whoever is next, this process included.
      if (now - entry.startedAt > limits.deadlineMs + limits.graceMs) active.delete(id);
    }
    const locked = [...active].filter(([, { isLocked }]) => isLocked);
    if (locked.length === 0) return;
    const ids = locked.map(([id]) => id);
    const tokens = locked.map(([, { token }]) => token);
    try {
      const lost = new Set(await worker.extendJobLocks(ids, tokens, lockDurationMs));
      for (const [id, entry] of locked) {
        if (!lost.has(id)) entry.renewedAt = now;
        else if (active.get(id) === entry) {
          log.warn({ batch: id }, "lost the lock of a batch: nothing more of it is started here");
          entry.isLocked = false;
          entry.stop.abort();
        }
      }
    } catch (error) {
      log.debug({ err: error }, "locks could not be renewed");
    }
  }

  return {
    async stop() {
      stopping.abort();
      await looping;
      while (running.size > 0) await Promise.all(running);
      clearInterval(renewing);
      // Nothing of ours is active any more, and a graceful close would wait for Redis for ever while it is away.
      await worker.close(true);
    },
  };
}
