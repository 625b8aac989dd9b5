interface AddedJob {
  name: string;
  data: unknown;
  opts: { jobId: string };
}

export interface FakeJob {
  id: string;
  data: unknown;
  state: "waiting" | "active" | "failed";
  /** Who works on it; whoever lost it can neither complete nor return it, as BullMQ's lock token sees to. */
  owner: object | undefined;
}

/** What the code under test uses of a BullMQ queue, in memory, so that a schedule can be lost and doubled at will. */
export class FakeQueue {
  readonly jobs = new Map<string, FakeJob>();
  /** Redis is unreachable: whoever adds is told so. */
  away = false;

  add(name: string, data: unknown, opts: AddedJob["opts"]): Promise<void> {
    return this.addBulk([{ name, data, opts }]);
  }

  async addBulk(added: readonly AddedJob[]): Promise<void> {
    if (this.away) throw new Error("Redis is unreachable");
    for (const { data, opts } of added) {
      // As in BullMQ, an id that exists in any state is left as it is.
      if (!this.jobs.has(opts.jobId))
        this.jobs.set(opts.jobId, { id: opts.jobId, data, state: "waiting", owner: undefined });
    }
  }

  async getJobState(id: string): Promise<string> {
    return this.jobs.get(id)?.state ?? "unknown";
  }

  async remove(id: string): Promise<number> {
    const job = this.jobs.get(id);
    // A locked job cannot be removed.
    return job && job.state !== "active" && this.jobs.delete(id) ? 1 : 0;
  }

  isLive(id: string): boolean {
    const state = this.jobs.get(id)?.state;
    return state === "waiting" || state === "active";
  }

  /** The job of an owner that still has it becomes something else; `undefined` is gone. */
  conclude(id: string, owner: object, state: FakeJob["state"] | undefined): void {
    const job = this.jobs.get(id);
    if (job?.owner !== owner) return;
    if (state === undefined) this.jobs.delete(id);
    else Object.assign(job, { state, owner: undefined });
  }
}
