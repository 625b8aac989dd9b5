import { setTimeout as sleep } from "node:timers/promises";
import { Redis } from "ioredis";
import { readWatchdogLog } from "../../../packages/shared/src/runtime/fleet/watchdog-log.ts";
import type { Figures } from "../../support/rounds.ts";

const PING_MS = 50;
/** Receipts are counted in windows of this length. */
const WINDOW_MS = 250;

/** Looks at Redis while a backlog is worked on. */
export function watchRedis(redisUrl: string) {
  const redis = new Redis(redisUrl);
  const stopping = new AbortController();
  let maxPingMs = 0;
  let maxRunMs = 0;
  const watching = (async () => {
    while (!stopping.signal.aborted) {
      const since = performance.now();
      await redis.ping();
      maxPingMs = Math.max(maxPingMs, performance.now() - since);
      const { lastRun } = await readWatchdogLog(redis);
      maxRunMs = Math.max(maxRunMs, lastRun?.durationMs ?? 0);
      await sleep(PING_MS);
    }
  })();
  return {
    /** The slowest answer to a PING, and the longest run of the watchdog. */
    async stop(): Promise<Figures> {
      stopping.abort();
      await watching;
      redis.disconnect();
      return { ping: maxPingMs, watchdog: maxRunMs / 1000 };
    },
  };
}

/** How many arrive in each second from the first. @param times ascending, milliseconds */
export function perSecond(times: readonly number[]): number[] {
  const counts: number[] = [];
  for (const time of times) {
    const second = Math.floor((time - times[0]!) / 1000);
    counts[second] = (counts[second] ?? 0) + 1;
  }
  return Array.from(counts, (count) => count ?? 0);
}

/**
 * How evenly deliveries arrive: the median rate, how long it takes until half of it is reached (workers have just been
 * started, and their code is not compiled yet), and the longest time after that in which fewer than half as many arrived.
 *
 * @param times ascending, milliseconds
 * @param isComplete whether all arrived; then the last seconds, which run out of work, do not count
 */
export function steadiness(times: readonly number[], isComplete: boolean): Figures {
  const first = times[0];
  if (first === undefined) return { "delivered/s": 0 };
  const until = times[Math.floor((times.length - 1) * (isComplete ? 0.98 : 1))]!;
  const windows = Array.from({ length: Math.ceil((until - first) / WINDOW_MS) }, () => 0);
  for (const time of times) {
    const window = Math.floor((time - first) / WINDOW_MS);
    if (window < windows.length) windows[window]! += 1;
  }
  const median = windows.toSorted((a, b) => a - b)[Math.floor(windows.length / 2)] ?? 0;
  const warm = Math.max(
    windows.findIndex((count) => count >= median / 2),
    0,
  );
  let [current, longest] = [0, 0];
  for (const count of windows.slice(warm)) {
    current = count < median / 2 ? current + 1 : 0;
    longest = Math.max(longest, current);
  }
  return {
    "delivered/s": (times.length / (times.at(-1)! - first)) * 1000,
    median: (median / WINDOW_MS) * 1000,
    warm: (warm * WINDOW_MS) / 1000,
    slump: (longest * WINDOW_MS) / 1000,
  };
}
