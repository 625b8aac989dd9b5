import type { Worker } from "bullmq";

/** A job's lock as this process believes it to be. */
export interface JobLease {
  /** Aborted when the lock is lost, the job's deadline passes or the worker stops: nothing new may be started then. */
  readonly signal: AbortSignal;
  /** Whether the lock is certainly ours. In a process that was frozen it is false before any timer has fired. */
  isHeld(): boolean;
}

/** A lease as its lane keeps it. */
export class RenewableLease implements JobLease {
  readonly signal: AbortSignal;
  readonly #lockDurationMs: number;
  #renewedAt = performance.now();

  constructor(lockDurationMs: number, signal: AbortSignal) {
    this.#lockDurationMs = lockDurationMs;
    this.signal = signal;
  }

  isHeld(): boolean {
    return !this.signal.aborted && performance.now() - this.#renewedAt < this.#lockDurationMs;
  }

  /** @param since when the call that renewed the lock began, in milliseconds of `performance.now()` */
  renew(since: number): void {
    this.#renewedAt = since;
  }
}

/** The leases of a lane whose locks BullMQ renews. */
export interface Leases {
  has(jobId: string): boolean;
  /** Works on a job with a lease of its own. */
  hold<T>(jobId: string, cancelled: AbortSignal, work: (lease: JobLease) => Promise<T>): Promise<T>;
}

/**
 * Keeps the leases of a BullMQ worker's jobs: it follows the renewals, and cancels a job whose lock is lost.
 *
 * @param stopping ends every lease
 */
export function keepLeases(
  worker: Pick<Worker, "on" | "cancelJob">,
  lockDurationMs: number,
  stopping: AbortSignal,
): Leases {
  const leases = new Map<string, RenewableLease>();
  worker.on("locksRenewed", ({ jobIds }) => {
    const now = performance.now();
    for (const id of jobIds) leases.get(id)?.renew(now);
  });
  worker.on("lockRenewalFailed", (jobIds) => {
    for (const id of jobIds) worker.cancelJob(id, "lock lost");
  });
  return {
    has: (jobId) => leases.has(jobId),
    async hold(jobId, cancelled, work) {
      const lease = new RenewableLease(lockDurationMs, AbortSignal.any([cancelled, stopping]));
      leases.set(jobId, lease);
      try {
        return await work(lease);
      } finally {
        if (leases.get(jobId) === lease) leases.delete(jobId);
      }
    },
  };
}
