import { randomUUID } from "node:crypto";
import type { Queue } from "bullmq";
import type { StallHistory, Suspicion } from "@postrider/shared/queue/jobs.ts";
import type { WorkerSettings } from "@postrider/shared/runtime/settings/worker.ts";
import type { Logger } from "@postrider/shared/runtime/telemetry/logger.ts";

/** A job that has stalled this often may have killed its workers. */
const POISON_STALLS = 3;
/** A delivery is poison when this many workers died while they tried it as a suspect. */
const POISON_DEATHS = 3;
/** A worker must have run for this many delivery timeouts before it tries a suspect, and twice as long after each death. */
const CALM_TIMEOUTS = 2;
/** A suspect that must be tried alone waits this long for the end of another one's try. */
const OCCUPIED_MS = 1_000;

/** How long a worker must have run before it tries a suspect. A suspect's job is never delayed for longer. */
export const calmMs = ({ deliveryTimeoutMs }: Pick<WorkerSettings, "deliveryTimeoutMs">): number =>
  CALM_TIMEOUTS * deliveryTimeoutMs;

/** What is used of a BullMQ job. */
export interface SuspectJob {
  data: StallHistory;
  stalledCounter: number;
  updateData(data: StallHistory): Promise<void>;
}

/** What a worker does with a suspect now. */
export type Verdict =
  /** `end()` must be called after the try. @param isOver whether the job needs its history no more */
  { kind: "try"; end: (isOver: boolean) => Promise<void> } | { kind: "later"; delayMs: number } | { kind: "poison" };

const UNSUSPECTED: Verdict = { kind: "try", end: () => Promise.resolve() };

/**
 * Decides whether a delivery kills its workers, or was only under way in workers that died of something else.
 *
 * A suspect is tried by a worker that has run for a while, so that workers that die all the time for another reason say
 * nothing about it. The job is marked before the try. If another worker finds that mark, the one that wrote it has
 * died: the suspect is then tried alone, by a worker that has run for twice as long, and once more so. A cause that kills
 * workers at regular times can't hit two tries in a row, because a try takes less time than the calm before it.
 *
 * The marks are kept in the job. If Redis loses them, the delivery is no suspect until it has stalled again.
 */
export class Suspects {
  readonly #id = randomUUID();
  readonly #startedAt: number;
  readonly #calmMs: number;
  readonly #log: Logger;
  readonly #now: () => number;
  #tries = 0;
  #isOneAlone = false;

  constructor(
    settings: Pick<WorkerSettings, "deliveryTimeoutMs">,
    log: Logger,
    now: () => number = () => performance.now(),
  ) {
    this.#log = log;
    this.#now = now;
    this.#startedAt = now();
    this.#calmMs = calmMs(settings);
  }

  isSuspect({ data, stalledCounter }: SuspectJob): boolean {
    return data.suspicion !== undefined || stalledCounter - (data.stallsBefore ?? 0) >= POISON_STALLS;
  }

  /** Decides about a job of one delivery. @throws the error of Redis */
  async judge(job: SuspectJob): Promise<Verdict> {
    if (!this.isSuspect(job)) return UNSUSPECTED;
    const { diedIn = [], triedBy } = job.data.suspicion ?? {};
    if (triedBy !== undefined && triedBy !== this.#id) {
      await job.updateData({ ...job.data, suspicion: { diedIn: [...diedIn, triedBy] } });
      // If that worker lives after all, it takes this back meanwhile.
      return { kind: "later", delayMs: this.#calmMs };
    }
    if (diedIn.length >= POISON_DEATHS) return { kind: "poison" };
    const missingMs = this.#calmMs * 2 ** diedIn.length - (this.#now() - this.#startedAt);
    if (missingMs > 0) return { kind: "later", delayMs: Math.min(missingMs, this.#calmMs) };
    return this.#try(job, diedIn);
  }

  async #try(job: SuspectJob, diedIn: string[]): Promise<Verdict> {
    const isAlone = diedIn.length > 0;
    if (this.#isOneAlone || (isAlone && this.#tries > 0)) {
      return { kind: "later", delayMs: OCCUPIED_MS * (1 + Math.random()) };
    }
    this.#tries += 1;
    this.#isOneAlone = isAlone;
    const leave = () => {
      this.#tries -= 1;
      if (isAlone) this.#isOneAlone = false;
    };
    try {
      await job.updateData({ ...job.data, suspicion: { diedIn, triedBy: this.#id } });
    } catch (error) {
      leave();
      throw error;
    }
    return {
      kind: "try",
      end: async (isOver) => {
        leave();
        if (!isOver) await job.updateData({ ...job.data, suspicion: { diedIn } });
      },
    };
  }

  /** An attempt was recorded, so the delivery was not the reason for the stalls before it. */
  async forget(job: SuspectJob): Promise<void> {
    const { suspicion, ...data } = job.data;
    if (!suspicion && job.stalledCounter === (data.stallsBefore ?? 0)) return;
    await job.updateData({ ...data, stallsBefore: job.stalledCounter });
  }

  #withoutMe({ diedIn, triedBy }: Suspicion): Suspicion {
    const isMine = triedBy === undefined || triedBy === this.#id;
    return { diedIn: diedIn.filter((id) => id !== this.#id), ...(isMine ? {} : { triedBy }) };
  }

  /** Takes back the stalls of a job that this worker works on, or has worked on until now: it did not die of it. */
  async takeBack(queue: Pick<Queue<StallHistory>, "getJob">, jobId: string): Promise<void> {
    try {
      const job = await queue.getJob(jobId);
      if (!job) return;
      const { suspicion, ...data } = job.data;
      await job.updateData({
        ...data,
        stallsBefore: job.stalledCounter,
        ...(suspicion && { suspicion: this.#withoutMe(suspicion) }),
      });
    } catch (error) {
      this.#log.debug({ err: error, job: jobId }, "could not take back the stalls of a job");
    }
  }
}
