import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Slots } from "./slots.ts";
import { noTokens, request, track } from "./slots-test-kit.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test("any number of hanging subscribers leave free slots for the next subscription", async () => {
  const slots = new Slots(256, noTokens);
  const names = Array.from({ length: 30 }, (_, index) => `hanging-${index}`);
  for (const name of names) for (let count = 0; count < 32; count += 1) void slots.acquire(request(name));
  await vi.advanceTimersByTimeAsync(0);
  expect(slots.inUse).toBeLessThan(256);
  expect(await track([slots.acquire(request("well"))]).kinds()).toEqual(["granted"]);
});

test("a subscription that answers gets more and more slots, up to half of them", async () => {
  const slots = new Slots(10, noTokens);
  const results = track(Array.from({ length: 30 }, () => slots.acquire(request("a"))));
  const peaks: number[] = [];
  for (let release = 0; release < 20; release += 1) {
    await results.kinds();
    peaks.push(slots.inUse);
    results.granted(release).release();
  }
  expect(peaks.slice(0, 5)).toEqual([2, 3, 4, 5, 5]);
  expect(Math.max(...peaks)).toBe(5);
});

test("its slots grow only up to its maxInFlight", async () => {
  const slots = new Slots(100, noTokens);
  const results = track(Array.from({ length: 30 }, () => slots.acquire(request("a", { maxInFlight: 3 }))));
  for (let release = 0; release < 20; release += 1) {
    await results.kinds();
    expect(slots.inUse).toBeLessThanOrEqual(3);
    results.granted(release).release();
  }
});

test("a request that its own subscription blocks is rejected after a second; one that waits for a free slot keeps waiting", async () => {
  const slots = new Slots(2, noTokens);
  const results = track([
    slots.acquire(request("slow", { maxInFlight: 1 })),
    slots.acquire(request("other")),
    slots.acquire(request("slow", { maxInFlight: 1 })),
    slots.acquire(request("third")),
  ]);
  await vi.advanceTimersByTimeAsync(1_100);
  expect(await results.kinds()).toEqual(["granted", "granted", "rejected", "waiting"]);
});

test("a request whose expected wait is longer than a second is rejected at once", async () => {
  const slots = new Slots(100, noTokens);
  const first = track([
    slots.acquire(request("slow", { maxInFlight: 2 })),
    slots.acquire(request("slow", { maxInFlight: 2 })),
  ]);
  await first.kinds();
  await vi.advanceTimersByTimeAsync(600);
  // Two at a time take at least 600 ms: the first waiter is served in 300 ms, the fourth not within a second.
  const later = track(Array.from({ length: 4 }, () => slots.acquire(request("slow", { maxInFlight: 2 }))));
  expect(await later.kinds()).toEqual(["waiting", "waiting", "waiting", "rejected"]);
});

test("a probe that hangs neither delays nor blocks its subscription's other requests", async () => {
  const slots = new Slots(100, noTokens);
  const probe = request("a", { isProbe: true, maxInFlight: 1 });
  expect(await track([slots.acquire(probe)]).kinds()).toEqual(["granted"]);
  await vi.advanceTimersByTimeAsync(5_000);
  expect([...slots.blockedSubscriptions()]).toEqual([]);
  expect(await track([slots.acquire(request("a")), slots.acquire(request("b"))]).kinds()).toEqual([
    "granted",
    "granted",
  ]);
});

test("after a request was rejected for waiting too long, the next ones are rejected at once until a request completes", async () => {
  const slots = new Slots(100, noTokens);
  const results = track([1, 2, 3].map(() => slots.acquire(request("a", { maxInFlight: 2 }))));
  await vi.advanceTimersByTimeAsync(1_100);
  expect(await results.kinds()).toEqual(["granted", "granted", "rejected"]);
  expect([...slots.blockedSubscriptions()]).toEqual([["a", "max_in_flight"]]);
  expect(await track([slots.acquire(request("a", { maxInFlight: 2 }))]).kinds()).toEqual(["rejected"]);
  results.granted(0).release();
  const later = track([
    slots.acquire(request("a", { maxInFlight: 2 })),
    slots.acquire(request("a", { maxInFlight: 2 })),
  ]);
  expect(await later.kinds()).toEqual(["granted", "waiting"]);
});

test("a subscription's window is remembered over a short pause of its deliveries, and forgotten after a longer one", async () => {
  const slots = new Slots(256, noTokens);
  const burst = async () => {
    const results = track(Array.from({ length: 20 }, () => slots.acquire(request("a"))));
    const granted = (await results.kinds()).filter((kind) => kind === "granted").length;
    for (let release = 0; release < 20; release += 1) {
      await results.kinds();
      results.granted(release).release();
    }
    return granted;
  };
  expect(await burst()).toBe(4);
  await vi.advanceTimersByTimeAsync(4_000);
  expect(await burst()).toBe(20);
  await vi.advanceTimersByTimeAsync(6_000);
  expect(await burst()).toBe(4);
});

test("a subscription that has not answered yet has a few slots", async () => {
  for (const [size, few] of [
    [256, 4],
    [32, 4],
    [4, 2],
  ] as const) {
    const slots = new Slots(size, noTokens);
    for (let count = 0; count < 32; count += 1) void slots.acquire(request("new"));
    expect(slots.inUse).toBe(few);
  }
});

test("ten subscribers that take seconds leave more than a third of the slots; one alone gets its maxInFlight", async () => {
  const slots = new Slots(256, noTokens);
  const slow = Array.from({ length: 10 }, (_, number) => `slow ${number}`);
  /** Every subscription gets as many slots as it may, for two seconds, until every window has outgrown its share. */
  async function fill(names: readonly string[]): Promise<number> {
    for (let round = 0; round < 8; round += 1) {
      const results = track(Array.from({ length: 32 }, () => names.map((name) => slots.acquire(request(name)))).flat());
      await vi.advanceTimersByTimeAsync(2_000);
      const max = slots.inUse;
      for (const [index, kind] of (await results.kinds()).entries())
        if (kind === "granted") results.granted(index).release();
      if (round === 7) return max;
    }
    return Number.NaN;
  }
  const taken = await fill(slow);
  expect(taken).toBeGreaterThan(100);
  expect(taken).toBeLessThanOrEqual(160);
  expect(await fill(["slow 0"])).toBe(32);
});

test("one request that hangs does not block a fast subscription", async () => {
  const slots = new Slots(256, noTokens);
  const results = track(Array.from({ length: 60 }, () => slots.acquire(request("fast"))));
  for (let release = 1; release < 30; release += 1) {
    await results.kinds();
    await vi.advanceTimersByTimeAsync(20);
    results.granted(release).release();
  }
  await vi.advanceTimersByTimeAsync(300);
  expect((await results.kinds()).filter((kind) => kind === "rejected")).toEqual([]);
});
