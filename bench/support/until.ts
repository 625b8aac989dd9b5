import { setTimeout as sleep } from "node:timers/promises";

/**
 * Asks again and again until it holds.
 *
 * @returns whether it came to hold within the time
 */
export async function holdsWithin(ms: number, everyMs: number, holds: () => Promise<boolean>): Promise<boolean> {
  const deadline = performance.now() + ms;
  for (;;) {
    if (await holds()) return true;
    if (performance.now() > deadline) return false;
    await sleep(everyMs);
  }
}

/**
 * Follows a number that grows until it has reached `goal`, or has not grown for so long that it never will.
 *
 * @returns what it reached
 */
export async function untilItStops(
  goal: number,
  patienceMs: number,
  everyMs: number,
  read: () => Promise<number>,
): Promise<number> {
  let most = await read();
  let grownAt = performance.now();
  while (most < goal && performance.now() - grownAt < patienceMs) {
    await sleep(everyMs);
    const now = await read();
    if (now > most) {
      most = now;
      grownAt = performance.now();
    }
  }
  return most;
}
