import type { Queue } from "bullmq";
import { addJobs } from "@postrider/shared/queue/enqueue.ts";
import type { JobLookup, JobPresence } from "@postrider/shared/queue/job-presence.ts";
import type { NewJob } from "@postrider/shared/queue/jobs.ts";

export type Job = NewJob<unknown>;

interface Lane {
  queue: Queue;
  lookup: JobLookup;
  /** A job that is delayed until later than this is not live, Unix milliseconds. */
  latest: number;
}

const idOf = ({ opts }: Job): string => opts.jobId;

/**
 * Adds the jobs that are absent or stuck.
 *
 * @param findNeeded called after the look-up, with the ids of jobs that are not live: which of them Postgres still has
 *   work for. A job that ended since the rows were read is not missing
 * @returns how many were added and are live now, and the jobs that wait in a list of the queue or in none
 */
export async function addMissing(
  lane: Lane,
  jobs: readonly Job[],
  findNeeded: (jobIds: readonly string[]) => Promise<readonly string[]>,
): Promise<{ added: number; unlisted: Job[] }> {
  if (jobs.length === 0) return { added: 0, unlisted: [] };
  const presences = await lane.lookup.find(jobs.map(idOf), lane.latest);
  const having = (...wanted: JobPresence[]) => jobs.filter((_, index) => wanted.includes(presences[index]!));
  const missing = having("absent", "stuck");
  return { added: await replace(lane, missing, findNeeded), unlisted: having("unlisted") };
}

/** Adds jobs again that are not live, after removing what is left of them. @returns how many are live now */
export async function replace(
  { queue, lookup, latest }: Lane,
  jobs: readonly Job[],
  findNeeded: (jobIds: readonly string[]) => Promise<readonly string[]>,
): Promise<number> {
  if (jobs.length === 0) return 0;
  const needed = new Set(await findNeeded(jobs.map(idOf)));
  const missing = jobs.filter((job) => needed.has(idOf(job)));
  if (missing.length === 0) return 0;
  const ids = missing.map(idOf);
  // Adding a job whose hash exists would silently do nothing.
  await lookup.remove(ids, latest);
  await addJobs(queue, missing);
  const presences = await lookup.find(ids, latest);
  // A job that was taken, worked on and removed meanwhile was live too.
  return presences.filter((presence) => presence !== "stuck").length;
}
