import { setTimeout as sleep } from "node:timers/promises";
import type { Queue } from "bullmq";
import type { JobLookup } from "@postrider/shared/queue/job-presence.ts";
import { now } from "@postrider/shared/runtime/clock.ts";
import { addMissing, replace, type Job } from "./add-missing.ts";

/** What a sweep looked at, and how many jobs it added. */
export interface Swept {
  examined: number;
  repaired: number;
}

/** Where a sweep goes on: after the last row that was examined, or from the start. */
export interface Cursor<Row> {
  last: Row | undefined;
  /** How often it has reached the end. */
  walks: number;
}

export const newCursor = (): Cursor<never> => ({ last: undefined, walks: 0 });

export interface Sweep<Row> {
  queue: Queue;
  /** How much later than now a live job may be delayed, milliseconds. */
  maxDelayMs: number;
  /** Unfinished work in the order of an index, at most PAGE rows. @param last the last row of the page before */
  findPage: (last: Row | undefined) => Promise<Row[]>;
  /** The jobs that a page of unfinished work needs. */
  jobsOf: (page: readonly Row[]) => Job[];
  /** Of the given jobs' ids, the ones that Postgres still has work for. */
  findNeeded: (jobIds: readonly string[]) => Promise<readonly string[]>;
}

/** What a sweep may use. */
export interface SweepRun {
  lookUpJobs: (queue: Queue) => JobLookup;
  /** When the sweep must stop, in milliseconds of `performance.now()`. */
  deadline: number;
  /** Called before each page. @throws if this process no longer leads */
  stillLeading: () => Promise<void>;
}

export const PAGE = 500;
/** After a page a sweep pauses for this many times as long as the page took: its work delays deliveries. */
const PAUSE_FACTOR = 2;
/** Below this many waiting jobs the workers would soon have nothing to do, so missing jobs are added without pauses. */
const ENOUGH_WAITING = 2_000;
/** Reading lists of this length takes a few milliseconds of Redis, so every run may. */
const SHORT_LIST = 10_000;
/** More ids would take too much memory. Jobs that are in no list are then found when the backlog is shorter. */
const LONGEST_LIST = 1_000_000;
/** Long lists are read in every n-th walk through all unfinished work, to find jobs that are in none. */
const LONG_LISTS_EVERY = 10;
/** A run stops when it has found so many jobs that may be in no list. */
const MAX_SUSPECTS = 10_000;

/**
 * Pages through unfinished work and adds the jobs that are missing. A run costs what is missing and what is unfinished
 * in Postgres; jobs that are queued cost a look-up each, whatever the length of the queue.
 *
 * @param cursor where an earlier run stopped; it is moved with each page, by at least one
 */
export async function sweep<Row>(
  { queue, maxDelayMs, findPage, jobsOf, findNeeded }: Sweep<Row>,
  cursor: Cursor<Row>,
  { lookUpJobs, deadline, stillLeading }: SweepRun,
): Promise<Swept> {
  const lookup = lookUpJobs(queue);
  const lane = () => ({ queue, lookup, latest: now() + maxDelayMs });
  const suspects: Job[] = [];
  let listed: Set<string> | "too long" | undefined;
  const total: Swept = { examined: 0, repaired: 0 };
  do {
    await stillLeading();
    const startedAt = performance.now();
    const page = await findPage(cursor.last);
    const { added, unlisted } = await addMissing(lane(), jobsOf(page), findNeeded);
    total.examined += page.length;
    total.repaired += added;
    if (unlisted.length > 0) {
      listed ??= await readLists();
      if (listed !== "too long") suspects.push(...unlistedIn(listed, unlisted));
    }
    cursor.last = page.length < PAGE ? undefined : page.at(-1);
    if (cursor.last !== undefined && (added === 0 || (await lookup.countWaiting()) > ENOUGH_WAITING))
      await sleep((performance.now() - startedAt) * PAUSE_FACTOR);
  } while (cursor.last !== undefined && suspects.length < MAX_SUSPECTS && performance.now() < deadline);
  if (suspects.length > 0) {
    // Jobs that were added after the first look are in the second.
    const orphans = unlistedIn(await lookup.listed(), suspects);
    for (let start = 0; start < orphans.length; start += PAGE) {
      await stillLeading();
      total.repaired += await replace(lane(), orphans.slice(start, start + PAGE), findNeeded);
    }
  }
  if (cursor.last === undefined) cursor.walks += 1;
  return total;

  async function readLists(): Promise<Set<string> | "too long"> {
    const max = cursor.walks % LONG_LISTS_EVERY === 0 ? LONGEST_LIST : SHORT_LIST;
    return (await lookup.countListed()) <= max ? lookup.listed() : "too long";
  }
}

const unlistedIn = (listed: ReadonlySet<string>, jobs: readonly Job[]): Job[] =>
  jobs.filter(({ opts }) => !listed.has(opts.jobId));
