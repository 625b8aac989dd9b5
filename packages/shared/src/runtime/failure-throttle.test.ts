import { expect, test } from "vitest";
import { FailureThrottle } from "./failure-throttle.ts";

/** @returns the seconds to wait after the last of the failures */
function fail(throttle: FailureThrottle, times: number, addressOf: (n: number) => string): number {
  let waitSeconds = 0;
  for (let n = 0; n < times; n += 1) ({ waitSeconds } = throttle.countFailure(addressOf(n)));
  return waitSeconds;
}

test("the eleventh failure of an address within a minute is one too many", () => {
  let now = 0;
  const throttle = new FailureThrottle(10, () => now);
  expect(fail(throttle, 10, () => "192.0.2.1")).toBe(0);
  now = 20_000;
  expect(throttle.countFailure("192.0.2.1")).toEqual({ waitSeconds: 40, isFirstRefused: true });
  expect(throttle.countFailure("192.0.2.1")).toEqual({ waitSeconds: 40, isFirstRefused: false });
  expect(fail(throttle, 1, () => "192.0.2.2")).toBe(0);
  now = 60_000;
  expect(fail(throttle, 1, () => "192.0.2.1")).toBe(0);
});

test("an address is at its limit after the tenth failure, for the rest of the minute", () => {
  let now = 0;
  const throttle = new FailureThrottle(10, () => now);
  fail(throttle, 9, () => "2001:db8::1");
  expect(throttle.limitOf("2001:db8::1")).toBeUndefined();
  throttle.countFailure("2001:db8::1");
  now = 20_000;
  const limit = throttle.limitOf("2001:db8::1");
  expect(limit).toMatchObject({ waitSeconds: 40 });
  expect(throttle.limitOf("2001:db8::2")).toEqual(limit);
  expect(throttle.limitOf("2001:db8:0:1::1")).toBeUndefined();
  now = 60_000;
  expect(throttle.limitOf("2001:db8::1")).toBeUndefined();
});

test("addresses of one IPv6 network count as one", () => {
  const throttle = new FailureThrottle(10, () => 0);
  expect(fail(throttle, 11, (n) => `2001:db8::${n + 1}`)).toBe(60);
  expect(fail(throttle, 1, () => "2001:db8:0:0:ffff::1")).toBe(60);
  expect(fail(throttle, 1, () => "2001:db8:0:1::1")).toBe(0);
});

test("failures from any number of addresses take a bounded memory", () => {
  const throttle = new FailureThrottle(10, () => 0);
  const addressOf = (n: number) => `10.${n >> 16}.${(n >> 8) & 255}.${n & 255}`;
  // The addresses beyond the first 10,000 are counted together.
  expect(fail(throttle, 10_010, addressOf)).toBe(0);
  expect(fail(throttle, 1, () => "192.0.2.1")).toBe(60);
  expect(fail(throttle, 1, () => addressOf(0))).toBe(0);
});
