import type { JobLookup } from "@postrider/shared/queue/job-presence.ts";

export const REDIS_UNREACHABLE = "Redis is unreachable";

interface AddedJob {
  name: string;
  data: unknown;
  opts: { jobId: string };
}

export interface FakeJob {
  id: string;
  data: unknown;
  state: "waiting" | "active" | "failed";
  /** The execution that holds the lock. No other one can move the job, as with BullMQ's lock token. */
  owner: object | undefined;
}

/** The part of a BullMQ queue that the code under test uses, in memory, so that jobs can be lost and doubled. */
export class FakeQueue {
  readonly jobs = new Map<string, FakeJob>();
  /** Adding jobs throws while Redis is unreachable. */
  isReachable = true;

  add(name: string, data: unknown, opts: AddedJob["opts"]): Promise<void> {
    return this.addBulk([{ name, data, opts }]);
  }

  async addBulk(added: readonly AddedJob[]): Promise<void> {
    if (!this.isReachable) throw new Error(REDIS_UNREACHABLE);
    for (const { data, opts } of added) {
      // As in BullMQ, an id that exists in any state is left as it is.
      if (!this.jobs.has(opts.jobId))
        this.jobs.set(opts.jobId, { id: opts.jobId, data, state: "waiting", owner: undefined });
    }
  }

  async remove(id: string): Promise<number> {
    const job = this.jobs.get(id);
    // A locked job cannot be removed.
    return job && job.state !== "active" && this.jobs.delete(id) ? 1 : 0;
  }

  /** As createJobLookup() of a real queue. */
  readonly lookup: JobLookup = {
    find: async (ids) =>
      ids.map((id) => {
        const job = this.jobs.get(id);
        if (!job) return "absent";
        return job.state === "failed" ? "stuck" : "live";
      }),
    remove: async (ids) => {
      for (const id of ids) if (this.jobs.get(id)?.state === "failed") this.jobs.delete(id);
    },
    countWaiting: async () => 0,
    countListed: async () => 0,
    listed: async () => new Set(),
  };

  isLive(id: string): boolean {
    const state = this.jobs.get(id)?.state;
    return state === "waiting" || state === "active";
  }

  /** Moves a job where the owner still holds its lock. @param state undefined removes the job */
  moveOwned(id: string, owner: object, state: FakeJob["state"] | undefined): void {
    const job = this.jobs.get(id);
    if (job?.owner !== owner) return;
    if (state === undefined) this.jobs.delete(id);
    else Object.assign(job, { state, owner: undefined });
  }
}
