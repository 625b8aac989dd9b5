import { expect, test } from "vitest";
import { LoginThrottle } from "./throttle.ts";

function fail(throttle: LoginThrottle, times: number, addressOf: (n: number) => string): void {
  for (let n = 0; n < times; n += 1) throttle.recordFailure(addressOf(n));
}

test("after ten failed logins an address must wait until the minute is over", () => {
  let now = 0;
  const throttle = new LoginThrottle(() => now);
  expect(throttle.waitSeconds("192.0.2.1")).toBe(0);
  fail(throttle, 10, () => "192.0.2.1");
  now = 20_000;
  expect(throttle.waitSeconds("192.0.2.1")).toBe(40);
  expect(throttle.waitSeconds("192.0.2.2")).toBe(0);
  now = 60_000;
  expect(throttle.waitSeconds("192.0.2.1")).toBe(0);
});

test("addresses of one IPv6 network count as one", () => {
  const throttle = new LoginThrottle(() => 0);
  throttle.waitSeconds("::1");
  fail(throttle, 10, (n) => `2001:db8::${n + 1}`);
  expect(throttle.waitSeconds("2001:db8:0:0:ffff::1")).toBe(60);
  expect(throttle.waitSeconds("2001:db8:0:1::1")).toBe(0);
});

test("failed logins from many addresses are limited in total", () => {
  const throttle = new LoginThrottle(() => 0);
  throttle.waitSeconds("192.0.2.1");
  fail(throttle, 50, (n) => `192.0.2.${n}`);
  expect(throttle.waitSeconds("198.51.100.1")).toBe(60);
});
