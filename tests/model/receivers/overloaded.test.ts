import { expect, test } from "vitest";
import { quantile } from "./figures.ts";
import { capacityShare, deadShare, runs } from "./grid.ts";
import { overloaded, slowsDown, timesOut } from "./receivers.ts";
import { MAX_IN_FLIGHT } from "./worker.ts";

test.each([1.3, 2, 4])(
  "a receiver that gets %f times its capacity uses 95 %% of it, and has at most 0.5 %% dead letters",
  (times) => {
    for (const { rate, figures, name } of runs([10, 100], (rate) => overloaded(rate / times))) {
      expect(capacityShare(figures, rate / times), name).toBeGreaterThanOrEqual(0.95);
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
  for (const { rate, figures, name } of runs([1, 10, 100], (rate) => slowsDown(rate / 1.3))) {
    expect(capacityShare(figures, rate / 1.3), name).toBeGreaterThanOrEqual(0.95);
    expect(figures.dead, name).toBe(0);
    expect(figures.notClosedMs, name).toBe(0);
  }
});

/** It times out with more requests in flight than it finishes within the timeout. */
const TIMEOUT_SECONDS = 15;

test("a receiver that times out under load uses 95 % of its capacity while maxInFlight bounds its answers to the timeout", () => {
  for (const { rate, workers, figures, name } of runs([1, 10, 100], (rate) => timesOut(rate / 1.3))) {
    if (workers * MAX_IN_FLIGHT > (rate / 1.3) * TIMEOUT_SECONDS) continue;
    // A request takes at least half a second.
    const reachable = Math.min(rate / 1.3, workers * MAX_IN_FLIGHT * 2);
    expect(capacityShare(figures, reachable), name).toBeGreaterThanOrEqual(0.95);
    expect(figures.dead, name).toBe(0);
  }
});

test("a receiver that times out with fewer requests than maxInFlight allows still gets a fifth of its capacity", () => {
  // Timeouts lower the rate and open the breaker, and nothing lowers the number of requests in flight: a known weakness.
  for (const { rate, workers, figures, name } of runs([1, 10], (rate) => timesOut(rate / 1.3))) {
    if (workers * MAX_IN_FLIGHT <= (rate / 1.3) * TIMEOUT_SECONDS) continue;
    expect(capacityShare(figures, rate / 1.3), name).toBeGreaterThanOrEqual(0.2);
  }
});
