import { setTimeout as pause } from "node:timers/promises";

/** Looks again and again until the probe says true; a probe that throws has not happened yet. @throws at the deadline */
export async function until(
  what: string,
  withinMs: number,
  probe: () => Promise<boolean>,
  everyMs = 50,
): Promise<void> {
  const deadline = Date.now() + withinMs;
  while (!(await probe().catch(() => false))) {
    if (Date.now() > deadline) throw new Error(`not within ${withinMs / 1000} s: ${what}`);
    await pause(everyMs);
  }
}
