import { expect, test } from "vitest";
import { GENTLE, mostOf, nextWindow } from "./release-window.ts";

const through = (count: number) => ({ through: count, cameBack: 0, failures: 0 });

test("the window doubles with each round that comes through, up to the most", () => {
  const windows = [GENTLE];
  for (let round = 0; round < 6; round += 1) windows.push(nextWindow(windows.at(-1)!, through(windows.at(-1)!), 20));
  expect(windows).toEqual([1, 2, 4, 8, 16, 20, 20]);
});

test("it stands still while the subscriber fails, and while nothing happens", () => {
  expect(nextWindow(8, { through: 4, cameBack: 0, failures: 1 }, 20)).toBe(8);
  expect(nextWindow(8, through(0), 20)).toBe(8);
});

test("it halves where deliveries come back for want of budget, and never below one", () => {
  expect(nextWindow(9, { through: 3, cameBack: 1, failures: 0 }, 20)).toBe(4);
  expect(nextWindow(1, { through: 0, cameBack: 1, failures: 0 }, 20)).toBe(1);
});

test("a limit that was lowered meanwhile holds at once", () => {
  expect(nextWindow(64, through(0), 20)).toBe(20);
  expect(nextWindow(64, { through: 1, cameBack: 0, failures: 2 }, 20)).toBe(20);
  expect(nextWindow(64, { through: 0, cameBack: 1, failures: 0 }, 20)).toBe(20);
});

test("the most is what the rate limit lets through in less than a second, or what a small fleet may have in flight", () => {
  expect(mostOf(50, 32)).toBe(40);
  expect(mostOf(1, 32)).toBe(1);
  expect(mostOf(null, 32)).toBe(128);
});
