import type { Redis } from "ioredis";
import { WATCHDOG_KEY } from "../../queue/keys.ts";

/** What a run of the watchdog put back, per state. */
export interface Repairs {
  pending: number;
  retrying: number;
  held: number;
}

/** A run of the watchdog. `at` is Unix milliseconds. */
export interface WatchdogEntry extends Repairs {
  at: number;
}

/** The last run, and the last one that put something back; undefined where none is known. */
export interface WatchdogLog {
  lastRun: WatchdogEntry | undefined;
  lastRepair: WatchdogEntry | undefined;
}

/** Notes a run where a person can see it. It says nothing that work depends on, so it may be lost with Redis. */
export async function noteRun(redis: Redis, entry: WatchdogEntry): Promise<void> {
  const text = JSON.stringify(entry);
  const isRepair = entry.pending + entry.retrying + entry.held > 0;
  await redis.hset(WATCHDOG_KEY, { lastRun: text, ...(isRepair ? { lastRepair: text } : {}) });
}

export async function readWatchdogLog(redis: Redis): Promise<WatchdogLog> {
  const { lastRun, lastRepair } = await redis.hgetall(WATCHDOG_KEY);
  const parse = (text: string | undefined) => (text === undefined ? undefined : (JSON.parse(text) as WatchdogEntry));
  return { lastRun: parse(lastRun), lastRepair: parse(lastRepair) };
}
