import type { Job } from "bullmq";
import type { DispatchJob } from "@postrider/shared/queue/jobs.ts";
import type { LaneWorker } from "./lane.ts";

/** A job that this worker has the lock of. */
export interface FetchedJob {
  job: Job<DispatchJob>;
  token: string;
}

/** Jobs of at most this many deliveries are fetched several at a time. */
const SMALL = 10;
/** So many at most, beside the first. */
const MAX_AHEAD = 7;

/**
 * Creates a function that fetches the next jobs by hand; it waits while there are none, for a bounded time.
 *
 * While many small jobs wait, it fetches several at a time: a write to Redis costs more than the rest of a fetch.
 *
 * @param onError called with the error of a fetch beside the first
 */
export function createFetch(worker: LaneWorker<DispatchJob>, onError: (error: Error) => void) {
  let fetched = 0;
  let ahead = 0;
  worker.on("drained", () => (ahead = 0));

  async function fetchOne(block: boolean): Promise<FetchedJob | undefined> {
    const token = `${worker.id}:${(fetched += 1)}`;
    const job = (await worker.getNextJob(token, { block })) as Job<DispatchJob> | undefined;
    return job && { job, token };
  }

  const fetchAhead = () =>
    fetchOne(false).catch((error: Error) => {
      onError(error);
      return undefined;
    });

  /** @param isSparing fetches one at most @throws the error of the first fetch */
  return async (isSparing: boolean): Promise<FetchedJob[]> => {
    const first = await fetchOne(true);
    if (!first) return [];
    if (isSparing || first.job.data.size > SMALL) {
      ahead = 0;
      return [first];
    }
    const others = await Promise.all(Array.from({ length: ahead }, fetchAhead));
    const jobs = [first, ...others.filter((other) => other !== undefined)];
    // An empty fetch has set it to 0.
    if (jobs.length > ahead) ahead = Math.min(MAX_AHEAD, 2 * ahead + 1);
    return jobs;
  };
}
