import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Slots } from "./slots.ts";
import { request, track, TIMEOUT_MS } from "./slots-test-kit.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test("the rate limit is asked for as many tokens as can be used, one call at a time, and the granted requests are sent", async () => {
  const asked: number[] = [];
  const grants = [
    { granted: 1, retryInMs: 20 },
    { granted: 0, retryInMs: 30 },
    { granted: 1, retryInMs: 500 },
  ];
  const slots = new Slots(100, TIMEOUT_MS, (_subscription, rate, _burst, wanted) => {
    expect(rate).toBe(50);
    asked.push(wanted);
    return Promise.resolve(grants.shift() ?? { granted: 0, retryInMs: 10_000 });
  });
  const results = track(Array.from({ length: 4 }, () => slots.acquire(request("limited", { rate: 50 }))));
  expect(await results.kinds()).toEqual(["granted", "waiting", "waiting", "waiting"]);
  await vi.advanceTimersByTimeAsync(20);
  expect(await results.kinds()).toEqual(["granted", "waiting", "waiting", "waiting"]);
  await vi.advanceTimersByTimeAsync(30);
  expect(await results.kinds()).toEqual(["granted", "granted", "waiting", "waiting"]);
  expect(asked).toEqual([1, 3, 3]);
  await vi.advanceTimersByTimeAsync(1_100);
  expect(await results.kinds()).toEqual(["granted", "granted", "rejected", "rejected"]);
});

test("a request that arrives while the rate limit has no token is served when it has one", async () => {
  const grants = [
    { granted: 1, retryInMs: 100 },
    { granted: 1, retryInMs: 100 },
  ];
  const slots = new Slots(100, TIMEOUT_MS, () => Promise.resolve(grants.shift()!));
  const first = track([slots.acquire(request("limited", { rate: 10 }))]);
  expect(await first.kinds()).toEqual(["granted"]);
  first.granted(0).release(200);
  await vi.advanceTimersByTimeAsync(50);
  const second = track([slots.acquire(request("limited", { rate: 10 }))]);
  expect(await second.kinds()).toEqual(["waiting"]);
  await vi.advanceTimersByTimeAsync(50);
  expect(await second.kinds()).toEqual(["granted"]);
});

test("slots are reserved for the tokens that are asked for, so that no token is lost when slots are short", async () => {
  let answer: (tokens: { granted: number; retryInMs: number }) => void = () => undefined;
  const slots = new Slots(4, TIMEOUT_MS, () => new Promise((resolve) => (answer = resolve)));
  const busy = track([slots.acquire(request("a")), slots.acquire(request("b"))]);
  await busy.kinds();
  const limited = track([slots.acquire(request("limited", { rate: 50 }))]);
  await limited.kinds();
  const others = track(["c", "d", "e"].map((name) => slots.acquire(request(name))));
  expect(await others.kinds()).toEqual(["granted", "waiting", "waiting"]);
  answer({ granted: 1, retryInMs: 20 });
  expect(await limited.kinds()).toEqual(["granted"]);
  expect(slots.inUse).toBe(4);
});

test("requests beyond what a rate limit allows in a second are rejected at once", async () => {
  const slots = new Slots(100, TIMEOUT_MS, () => Promise.resolve({ granted: 0, retryInMs: 10_000 }));
  const results = track(Array.from({ length: 5 }, () => slots.acquire(request("limited", { rate: 2 }))));
  expect(await results.kinds()).toEqual(["waiting", "waiting", "waiting", "rejected", "rejected"]);
});

test("a manual retry starts beside a pace, which stays as it is for the deliveries that wait", async () => {
  const slots = new Slots(100, TIMEOUT_MS, () => Promise.resolve({ granted: 0, retryInMs: 10_000 }));
  const paced = { rate: 5, rateLimitName: "pace", canBeHeld: false } as const;
  const waiting = track(Array.from({ length: 10 }, () => slots.acquire(request("paced", paced))));
  await waiting.kinds();
  const manual = track([slots.acquire(request("paced", { isManual: true }))]);
  expect(await manual.kinds()).toEqual(["granted"]);
  await vi.advanceTimersByTimeAsync(2_000);
  expect(await waiting.kinds()).not.toContain("granted");
});
