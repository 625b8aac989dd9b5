import type { Job, Queue } from "bullmq";
import { addJobs } from "@postrider/shared/queue/enqueue.ts";
import type { NewJob } from "@postrider/shared/queue/jobs.ts";

const LIVE = new Set<Awaited<ReturnType<Job["getState"]>>>(["waiting", "prioritized", "delayed", "active"]);

/**
 * Adds the jobs of which there is no live one. A job in any other state is removed first, because adding it again would
 * silently do nothing.
 *
 * @param findNeeded called after that, with the ids of jobs that are not live: which of them Postgres still has work
 *   for. A job that ended since the rows were read is not missing
 * @returns how many were added
 */
export async function addMissing(
  queue: Queue,
  jobs: readonly NewJob<unknown>[],
  findNeeded: (jobIds: readonly string[]) => Promise<readonly string[]>,
): Promise<number> {
  if (jobs.length === 0) return 0;
  const states = await Promise.all(jobs.map(({ opts }) => queue.getJobState(opts.jobId)));
  const gone = jobs.flatMap((job, index) => (LIVE.has(states[index]!) ? [] : [{ job, state: states[index]! }]));
  if (gone.length === 0) return 0;
  const needed = new Set(await findNeeded(gone.map(({ job }) => job.opts.jobId)));
  const missing = gone.filter(({ job }) => needed.has(job.opts.jobId));
  const leftovers = missing.filter(({ state }) => state !== "unknown");
  await Promise.all(leftovers.map(({ job }) => queue.remove(job.opts.jobId)));
  const added = missing.map(({ job }) => job);
  if (added.length > 0) await addJobs(queue, added);
  return added.length;
}
