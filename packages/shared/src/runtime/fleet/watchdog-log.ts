import type { Redis } from "ioredis";
import { WATCHDOG_KEY } from "../../queue/keys.ts";

/** The number of jobs that a run of the watchdog added, per state. */
export interface Repairs {
  pending: number;
  retrying: number;
  held: number;
  /** Undefined in an entry of an older worker. */
  expanding?: number;
}

/** A run of the watchdog. `at` is Unix milliseconds. */
export interface WatchdogEntry extends Repairs {
  at: number;
  durationMs: number;
}

/** The last run, and the last run that added a job; undefined if none is known. */
export interface WatchdogLog {
  lastRun: WatchdogEntry | undefined;
  lastRepair: WatchdogEntry | undefined;
}

/** Records a run for the console and the metrics. No work depends on the record, so Redis may lose it. */
export async function noteRun(redis: Redis, entry: WatchdogEntry): Promise<void> {
  const text = JSON.stringify(entry);
  const isRepair = entry.pending + entry.retrying + entry.held + (entry.expanding ?? 0) > 0;
  await redis.hset(WATCHDOG_KEY, { lastRun: text, ...(isRepair ? { lastRepair: text } : {}) });
}

export async function readWatchdogLog(redis: Redis): Promise<WatchdogLog> {
  const { lastRun, lastRepair } = await redis.hgetall(WATCHDOG_KEY);
  const parse = (text: string | undefined) => (text === undefined ? undefined : (JSON.parse(text) as WatchdogEntry));
  return { lastRun: parse(lastRun), lastRepair: parse(lastRepair) };
}
