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

test("a receiver that times out under load and gets 1.3 times its capacity uses 90 % of it without a dead letter", () => {
  for (const run of runs([1, 10, 100], (rate) => timesOut(rate / 1.3))) {
    const { rate, workers, figures, name } = run;
    // A request takes at least half a second.
    const reachable = Math.min(rate / 1.3, workers * MAX_IN_FLIGHT * 2);
    // It times out with twelve requests in flight at one event a second, and ten workers have at least ten.
    const share = rate === 1 && workers === 10 ? 0.7 : 0.9;
    expect(capacityShare(run, reachable), name).toBeGreaterThanOrEqual(share);
    expect(deadShare(figures), name).toBeLessThanOrEqual(0.005);
  }
});
