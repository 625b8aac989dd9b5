import { expect, test } from "vitest";
import { quantile } from "./figures.ts";
import { deadShare, deliveredShare, runs } from "./grid.ts";
import { flaky } from "./receivers.ts";

const cases = [
  { percent: 20, seconds: 2.5 },
  { percent: 30, seconds: 7 },
];

test.each(cases)(
  "a receiver that fails $percent % at random is never shut at 10 events/s, and has 95 % of its events in $seconds s",
  ({ percent, seconds }) => {
    for (const { figures, name } of runs([10, 100], () => flaky(percent / 100))) {
      expect(figures.notClosedMs, name).toBe(0);
      expect(quantile(figures, 0.95), name).toBeLessThanOrEqual(seconds * 1_000);
      expect(deadShare(figures), name).toBeLessThanOrEqual(0.005);
    }
  },
);

test.each(cases)(
  "a receiver that fails $percent % at random is shut for one cooldown at most at one event/s",
  ({ percent, seconds }) => {
    for (const { figures, name } of runs([1], () => flaky(percent / 100))) {
      // Five failures in a row can span ten seconds in a quiet moment: at 30 %, one half hour in about a hundred.
      expect(figures.openings.length, name).toBeLessThanOrEqual(percent === 20 ? 0 : 1);
      if (figures.openings.length > 0) continue;
      expect(figures.notClosedMs, name).toBe(0);
      expect(quantile(figures, 0.95), name).toBeLessThanOrEqual(seconds * 1_000);
      expect(deadShare(figures), name).toBeLessThanOrEqual(0.005);
    }
  },
);

test("a receiver that fails 50 % at random receives 95 % of its events, and 85 % at one event a second", () => {
  for (const { rate, figures, name } of runs([1, 10, 100], () => flaky(0.5))) {
    expect(deliveredShare(figures), name).toBeGreaterThanOrEqual(rate === 1 ? 0.85 : 0.95);
  }
});

test("a receiver that fails 70 % at random receives what six requests can deliver: 0.7 to the sixth are dead", () => {
  for (const { figures, name } of runs([10, 100], () => flaky(0.7))) {
    expect(deliveredShare(figures), name).toBeGreaterThanOrEqual(0.8);
    expect(deadShare(figures), name).toBeLessThanOrEqual(0.13);
  }
});
