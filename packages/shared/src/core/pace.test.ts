import { expect, test } from "vitest";
import { NO_PACE, reducePace, type Pace } from "./pace.ts";

const NOW = 1_000_000;
const MINUTE_MS = 60_000;
const FAILURE = { successes: 0, failures: 1, isWaiting: true };
const SUCCESS = { successes: 1, failures: 0, isWaiting: true };

/** A pace whose last interval ended now. */
const PACED: Pace = { ...NO_PACE, rate: 10, since: NOW, shareBefore: 0.6, rateBefore: 20 };

/** Answers at a rate per second. */
function answers(pace: Pace, answer: typeof FAILURE, rate: number, seconds: number, from: number): Pace {
  let reached = pace;
  for (let count = 1; count <= rate * seconds; count += 1)
    reached = reducePace(reached, answer, from + (count / rate) * 1_000);
  return reached;
}

test("three bad intervals in a row start a pace", () => {
  expect(answers(NO_PACE, FAILURE, 10, 5, NOW).rate).toBe(0);
  expect(answers(NO_PACE, FAILURE, 10, 7, NOW).rate).toBe(2);
});

test("a failure after two minutes without traffic neither ends a pace nor makes the subscription immune to one", () => {
  const after = reducePace(PACED, FAILURE, NOW + 2 * MINUTE_MS);
  expect(after).toMatchObject({ rate: 10, immuneUntil: 0, answers: 1 });
});

test("three lone failures two minutes apart are no bad intervals", () => {
  let pace = NO_PACE;
  for (let count = 0; count < 3; count += 1) pace = reducePace(pace, FAILURE, NOW + count * 2 * MINUTE_MS);
  expect(pace.badIntervals).toBe(0);
});

test("bad intervals before and after two minutes without traffic are not in a row", () => {
  const before = answers(NO_PACE, FAILURE, 10, 5, NOW);
  expect(before.badIntervals).toBe(2);
  expect(answers(before, FAILURE, 10, 3, NOW + 2 * MINUTE_MS)).toMatchObject({ rate: 0, badIntervals: 1 });
});

test("a lone failure in 30 s is no bad interval, and changes no pace", () => {
  const lone = reducePace({ ...NO_PACE, since: NOW, badIntervals: 2 }, FAILURE, NOW + 40_000);
  expect(lone.badIntervals).toBe(0);
  expect(reducePace(PACED, FAILURE, NOW + 40_000)).toMatchObject({ rate: 10, immuneUntil: 0 });
});

test("a pace ends, and none starts for five minutes, where half the rate fails as often", () => {
  const after = answers(PACED, FAILURE, 10, 2, NOW);
  expect(after).toMatchObject({ rate: 0, immuneUntil: NOW + 2_000 + 5 * MINUTE_MS });
});

test("a pace ends after a good interval with nothing waiting, and grows after one with deliveries waiting", () => {
  expect(answers(PACED, { ...SUCCESS, isWaiting: false }, 10, 2, NOW).rate).toBe(0);
  expect(answers(PACED, SUCCESS, 10, 2, NOW).rate).toBe(15);
});

test("a pace ends where it is over twice the rate that another limit lets through, though deliveries wait for that", () => {
  expect(answers(PACED, SUCCESS, 4, 5, NOW).rate).toBe(0);
  expect(answers({ ...PACED, rate: 2 }, SUCCESS, 4, 3_600, NOW).rate).toBeLessThan(12);
});
