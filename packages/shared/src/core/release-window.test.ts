import { expect, test } from "vitest";
import { INITIAL_RATE, maxOnTheWay, nextRate } from "./release-window.ts";

const calm = { hasFailed: false, wasSaturated: false };

test("the rate doubles in each second without trouble", () => {
  expect(nextRate(INITIAL_RATE, calm, null)).toBe(8);
  expect(nextRate(8, calm, null)).toBe(16);
  expect(nextRate(4_000, calm, null)).toBe(5_000);
});

test("the rate halves in a second with failures or a saturated subscription, and never below the first rate", () => {
  expect(nextRate(100, { hasFailed: true, wasSaturated: false }, null)).toBe(50);
  expect(nextRate(100, { hasFailed: false, wasSaturated: true }, null)).toBe(50);
  expect(nextRate(5, { hasFailed: true, wasSaturated: true }, null)).toBe(INITIAL_RATE);
});

test("the rate never exceeds the subscription's limit", () => {
  expect(nextRate(100, calm, 50)).toBe(50);
  expect(nextRate(INITIAL_RATE, calm, 1)).toBe(1);
});

test("under a limit as many deliveries are on their way as it allows in 0.8 s, and at least one", () => {
  expect(maxOnTheWay(50, 32)).toBe(40);
  expect(maxOnTheWay(1, 32)).toBe(1);
  expect(maxOnTheWay(null, 32)).toBe(128);
});
