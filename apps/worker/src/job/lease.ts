import type { Worker } from "bullmq";

/** A job's lock as this process believes it to be. */
export interface JobLease {
  /** Aborted when the lock is lost, the work or its time is over, or the worker stops: nothing new may start then. */
  readonly signal: AbortSignal;
  /** Whether the lock is certainly ours. In a process that was frozen it is false before any timer has fired. */
  isHeld(): boolean;
}

/** A lease as its lane keeps it. */
export class RenewableLease implements JobLease {
  readonly signal: AbortSignal;
  readonly #ending = new AbortController();
  readonly #lockDurationMs: number;
  #renewedAt = performance.now();

  /** @param endedBy each of these signals ends the lease */
  constructor(lockDurationMs: number, ...endedBy: AbortSignal[]) {
    this.#lockDurationMs = lockDurationMs;
    this.signal = AbortSignal.any([this.#ending.signal, ...endedBy]);
  }

  isHeld(): boolean {
    return !this.signal.aborted && performance.now() - this.#renewedAt < this.#lockDurationMs;
  }

  /** @param since when the lock was renewed at the latest, in milliseconds of `performance.now()` */
  renew(since: number): void {
    this.#renewedAt = since;
  }

  end(): void {
    this.#ending.abort();
  }
}

/** The leases of a lane whose locks BullMQ renews. */
export interface Leases {
  /**
   * Ends the lease of an earlier run of a job that has come back. Its lock lapsed, but BullMQ renews by job id, so it
   * would renew the earlier lease with the new lock.
   *
   * @returns whether an earlier run is under way
   */
  endEarlier(jobId: string): boolean;
  /** Works on a job with a lease of its own, which ends with the work. */
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

  function endEarlier(jobId: string): boolean {
    const earlier = leases.get(jobId);
    earlier?.end();
    return earlier !== undefined;
  }

  return {
    endEarlier,
    async hold(jobId, cancelled, work) {
      endEarlier(jobId);
      const lease = new RenewableLease(lockDurationMs, cancelled, stopping);
      leases.set(jobId, lease);
      try {
        return await work(lease);
      } finally {
        // A lane may give the job up while a part of the work goes on: that part must not send any more.
        lease.end();
        if (leases.get(jobId) === lease) leases.delete(jobId);
      }
    },
  };
}
