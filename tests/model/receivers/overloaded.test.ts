import { expect, test } from "vitest";
import { quantile } from "./figures.ts";
import { capacityShare, deadShare, runs } from "./grid.ts";
import { overloaded, slowsDown, timesOut } from "./receivers.ts";
import { MAX_IN_FLIGHT } from "./worker.ts";

test.each([{ times: 1.3 }, { times: 2 }, { times: 4 }])(
  "a receiver that gets $times times its capacity uses 95 % of it, and has at most 0.5 % dead letters",
  ({ times }) => {
    for (const run of runs([10, 100], (rate) => overloaded(rate / times))) {
      const { rate, figures, name } = run;
      expect(capacityShare(run, rate / times), name).toBeGreaterThanOrEqual(0.95);
      expect(deadShare(figures), name).toBeLessThanOrEqual(0.005);
      expect(figures.notClosedMs, name).toBe(0);
    }
  },
);

test("a receiver that gets slower with load and has twice the capacity it needs is served within 5 s", () => {
  for (const { figures, name } of runs([1, 10, 100], (rate) => slowsDown(2 * rate))) {
    expect(quantile(figures, 0.99), name).toBeLessThanOrEqual(5_000);
    expect(figures.requests, name).toHaveLength(figures.events);
  }
});

test("a receiver that gets slower with load and 1.3 times its capacity uses 95 % of it without a dead letter", () => {
  for (const run of runs([1, 10, 100], (rate) => slowsDown(rate / 1.3))) {
    const { rate, figures, name } = run;
    expect(capacityShare(run, rate / 1.3), name).toBeGreaterThanOrEqual(0.95);
    expect(figures.dead, name).toBe(0);
    expect(figures.notClosedMs, name).toBe(0);
  }
});

/** It times out with more requests in flight than it finishes within the timeout. */
const TIMEOUT_SECONDS = 15;

test("a receiver that times out under load uses 95 % of its capacity while maxInFlight bounds its answers to the timeout", () => {
  for (const run of runs([1, 10, 100], (rate) => timesOut(rate / 1.3))) {
    const { rate, workers, figures, name } = run;
    if (workers * MAX_IN_FLIGHT > (rate / 1.3) * TIMEOUT_SECONDS) continue;
    // A request takes at least half a second.
    const reachable = Math.min(rate / 1.3, workers * MAX_IN_FLIGHT * 2);
    expect(capacityShare(run, reachable), name).toBeGreaterThanOrEqual(0.95);
    expect(figures.dead, name).toBe(0);
  }
});

test("a receiver that times out with fewer requests than maxInFlight allows still gets a fifth of its capacity", () => {
  // Timeouts lower the rate and open the breaker, and nothing lowers the number of requests in flight: a known weakness.
  for (const run of runs([1, 10], (rate) => timesOut(rate / 1.3))) {
    const { rate, workers, name } = run;
    if (workers * MAX_IN_FLIGHT <= (rate / 1.3) * TIMEOUT_SECONDS) continue;
    expect(capacityShare(run, rate / 1.3), name).toBeGreaterThanOrEqual(0.2);
  }
});
