import { expect, test } from "vitest";
import { INITIAL_RATE, maxOnTheWay, nextRate, type Passage } from "./release-window.ts";

test("the rate doubles in each second without a failure", () => {
  expect(nextRate(INITIAL_RATE, false, null)).toBe(8);
  expect(nextRate(8, false, null)).toBe(16);
  expect(nextRate(4_000, false, null)).toBe(5_000);
});

test("the rate grows by a fifth in a second with a failure: a flaky subscriber's backlog ends", () => {
  expect(nextRate(100, true, null)).toBe(120);
  expect(nextRate(4_900, true, null)).toBe(5_000);
});

test("the rate never exceeds the subscription's limit", () => {
  expect(nextRate(100, false, 50)).toBe(50);
  expect(nextRate(INITIAL_RATE, false, 1)).toBe(1);
});

const onTheWay = (over: Partial<Passage>) =>
  maxOnTheWay({ limit: null, maxInFlight: 32, workers: 2, completed: 0, aheadMs: 1_000, ...over });

test("every slot that maxInFlight allows in the fleet has one released delivery under way and one waiting", () => {
  expect(onTheWay({})).toBe(128);
  expect(onTheWay({ maxInFlight: 1, workers: 1 })).toBe(2);
});

test("the more released deliveries complete between two rounds, the more are on their way", () => {
  expect(onTheWay({ maxInFlight: 1, completed: 50 })).toBe(104);
});

test("under a limit as many are on their way as it lets through until the next round has arrived, and at least two", () => {
  expect(onTheWay({ limit: 50 })).toBe(50);
  expect(onTheWay({ limit: 50, aheadMs: 1_500 })).toBe(75);
  expect(onTheWay({ limit: 1 })).toBe(2);
});

test("a limit that the subscriber's slots cannot use does not raise the number on their way", () => {
  expect(onTheWay({ limit: 1_000, maxInFlight: 1, completed: 1 })).toBe(6);
});
