import { readFileSync } from "node:fs";
import type { Queue } from "bullmq";
import type { Redis } from "ioredis";

/**
 * What is known of a job without reading the lists of its queue:
 *
 * - `live`: it is being worked on, or it will be
 * - `absent`: there is no such job
 * - `stuck`: it will not run (in time), and adding it again would do nothing
 * - `unlisted`: it waits in a list of its queue, or it is in none and will never run. listedJobs() decides.
 */
export type JobPresence = "live" | "absent" | "stuck" | "unlisted";

/** Looks jobs up by id, at a cost that does not depend on how many others are queued. */
export interface JobLookup {
  /**
   * @param latest a job that is delayed until later than this is not live, Unix milliseconds
   * @returns one per id, in order
   */
  find(ids: readonly string[], latest: number): Promise<JobPresence[]>;
  /** Removes jobs that are still stuck or unlisted, and leaves others alone. @param latest as in find() */
  remove(ids: readonly string[], latest: number): Promise<void>;
  /** The number of jobs that a worker could take now. */
  countWaiting(): Promise<number>;
  /** The number of jobs in the lists of the queue. */
  countListed(): Promise<number>;
  /** Ids of all jobs that were in a list of the queue during the whole call. */
  listed(): Promise<Set<string>>;
}

const SCRIPT = readFileSync(new URL("job-presence.lua", import.meta.url), "utf8");
const COMMAND = "postriderJobPresence";
/** `active` comes first: what is given back meanwhile was seen, and what is taken meanwhile has a lock. */
const LISTS = ["active", "wait", "paused"] as const;
/** Ids per command, some 0.2 ms of Redis. */
const PAGE = 1_000;

export function createJobLookup(redis: Redis, queue: Pick<Queue, "toKey">): JobLookup {
  if (!(COMMAND in redis)) redis.defineCommand(COMMAND, { lua: SCRIPT });
  const script = (redis as unknown as Record<string, (...args: (string | number)[]) => Promise<JobPresence[]>>)[
    COMMAND
  ]!.bind(redis);
  const sets = ["completed", "failed", "delayed", "prioritized"].map((name) => queue.toKey(name));

  function run(ids: readonly string[], latest: number, isRemoving: boolean): Promise<JobPresence[]> {
    const keys = [...sets, ...ids.map((id) => queue.toKey(id))];
    return script(keys.length, ...keys, Math.floor(latest), isRemoving ? "1" : "0", ...ids);
  }

  return {
    find: (ids, latest) => run(ids, latest, false),
    async remove(ids, latest) {
      await run(ids, latest, true);
    },
    async countWaiting() {
      const [wait, prioritized] = await Promise.all([
        redis.llen(queue.toKey("wait")),
        redis.zcard(queue.toKey("prioritized")),
      ]);
      return wait + prioritized;
    },
    async countListed() {
      const lengths = await Promise.all(LISTS.map((name) => redis.llen(queue.toKey(name))));
      return lengths.reduce((sum, length) => sum + length);
    },
    async listed() {
      const found = new Set<string>();
      for (const list of LISTS) {
        // BullMQ adds at the front and takes from the end, so a page from the front misses no job that stays.
        for (let from = 0; ; from += PAGE) {
          const ids = await redis.lrange(queue.toKey(list), from, from + PAGE - 1);
          for (const id of ids) found.add(id);
          if (ids.length < PAGE) break;
        }
      }
      return found;
    },
  };
}
