import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { newPool, onTrial, request, track } from "./slots-test-kit.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test("a subscription on trial has one slot, and every answer doubles that up to its maxInFlight", async () => {
  const slots = newPool(256);
  const results = track(Array.from({ length: 40 }, () => slots.acquire(onTrial("new", { maxInFlight: 6 }))));
  const peaks: number[] = [];
  for (let done = 0; done < 6; done += 1) {
    await results.kinds();
    peaks.push(slots.inUse);
    results.granted(done).release(500);
  }
  expect(peaks).toEqual([1, 2, 4, 6, 6, 6]);
});

test("a request without a response gives a subscription on trial no second slot", async () => {
  const slots = newPool(256);
  const results = track(Array.from({ length: 4 }, () => slots.acquire(onTrial("new"))));
  for (let done = 0; done < 3; done += 1) {
    await results.kinds();
    expect(slots.inUse).toBe(1);
    results.granted(done).release(null);
  }
});

test("one success proves a subscription", async () => {
  const slots = newPool(256);
  const first = track([slots.acquire(onTrial("new"))]);
  await first.kinds();
  first.granted(0).release(204);
  await track(Array.from({ length: 10 }, () => slots.acquire(onTrial("new")))).kinds();
  expect(slots.inUse).toBe(10);
});

test("one slow answer among many fast ones does not make a subscription slow", async () => {
  const slots = newPool(8);
  for (let count = 0; count < 20; count += 1) {
    const result = await slots.acquire(request("a"));
    await vi.advanceTimersByTimeAsync(count === 10 ? 15_000 : 5);
    if (result.kind === "granted") result.release(200);
  }
  // A slow subscription would have the slots of its share only: four.
  await track([1, 2, 3, 4, 5].map(() => slots.acquire(request("b")))).kinds();
  expect(await track([slots.acquire(request("a"))]).kinds()).toEqual(["granted"]);
});

test("a released request is never rejected for a limit", async () => {
  const slots = newPool(100);
  const results = track(
    [1, 2, 3]
      .map(() => slots.acquire(request("slow", { maxInFlight: 1, canBeHeld: false })))
      .concat([slots.acquire(request("slow", { maxInFlight: 1 }))]),
  );
  await vi.advanceTimersByTimeAsync(30_000);
  expect(await results.kinds()).toEqual(["granted", "waiting", "waiting", "rejected"]);
});

test("released and fresh requests of a subscription alternate", async () => {
  const slots = newPool(100);
  const one = { maxInFlight: 1 };
  const first = track([slots.acquire(request("a", one))]);
  await first.kinds();
  const released = [1, 2, 3].map(() => slots.acquire(request("a", { ...one, canBeHeld: false })));
  const fresh = [1, 2].map(() => slots.acquire(request("a", one)));
  const results = track([...released, ...fresh]);
  await results.kinds();
  first.granted(0).release(200);
  const order: number[] = [];
  while (order.length < 5) {
    const kinds = await results.kinds();
    const index = kinds.findIndex((kind, at) => kind === "granted" && !order.includes(at));
    order.push(index);
    results.granted(index).release(200);
  }
  expect(order).toEqual([0, 3, 1, 4, 2]);
});

test("a slot that was not used says nothing about the receiver", async () => {
  const slots = newPool(100);
  const first = track([slots.acquire(onTrial("new"))]);
  await first.kinds();
  first.granted(0).release(undefined);
  await track([1, 2, 3].map(() => slots.acquire(onTrial("new")))).kinds();
  expect(slots.inUse).toBe(1);
});

test("a request that its own subscription blocks is rejected after a second; one that waits for a free slot keeps waiting", async () => {
  const slots = newPool(2);
  const results = track([
    slots.acquire(request("slow", { maxInFlight: 1 })),
    slots.acquire(request("other")),
    slots.acquire(request("slow", { maxInFlight: 1 })),
    slots.acquire(request("third")),
  ]);
  await vi.advanceTimersByTimeAsync(1_200);
  expect(await results.kinds()).toEqual(["granted", "granted", "rejected", "waiting"]);
});

test("a request whose expected wait is longer than a second is rejected at once", async () => {
  const slots = newPool(100);
  const two = { maxInFlight: 2 };
  const first = track([slots.acquire(request("slow", two)), slots.acquire(request("slow", two))]);
  await first.kinds();
  await vi.advanceTimersByTimeAsync(600);
  // Two at a time take at least 600 ms: the first waiter is served in 300 ms, the fourth not within a second.
  const later = track(Array.from({ length: 4 }, () => slots.acquire(request("slow", two))));
  expect(await later.kinds()).toEqual(["waiting", "waiting", "waiting", "rejected"]);
});

test("a probe that hangs neither delays nor blocks its subscription's other requests", async () => {
  const slots = newPool(100);
  const probe = request("a", { isProbe: true, canBeHeld: false, maxInFlight: 1 });
  expect(await track([slots.acquire(probe)]).kinds()).toEqual(["granted"]);
  await vi.advanceTimersByTimeAsync(5_000);
  expect([...slots.blockedSubscriptions()]).toEqual([]);
  expect(await track([slots.acquire(request("a")), slots.acquire(request("b"))]).kinds()).toEqual([
    "granted",
    "granted",
  ]);
});

test("after a request was rejected for waiting too long, the next ones are rejected at once until a request completes", async () => {
  const slots = newPool(100);
  const two = { maxInFlight: 2 };
  const results = track([1, 2, 3].map(() => slots.acquire(request("a", two))));
  await vi.advanceTimersByTimeAsync(1_200);
  expect(await results.kinds()).toEqual(["granted", "granted", "rejected"]);
  expect([...slots.blockedSubscriptions()]).toEqual([["a", "trial"]]);
  expect(await track([slots.acquire(request("a", two))]).kinds()).toEqual(["rejected"]);
  results.granted(0).release(200);
  expect([...slots.blockedSubscriptions()]).toEqual([]);
});

test("one request that hangs does not block a fast subscription", async () => {
  const slots = newPool(256);
  const results = track(Array.from({ length: 60 }, () => slots.acquire(request("fast"))));
  for (let release = 1; release < 30; release += 1) {
    await results.kinds();
    await vi.advanceTimersByTimeAsync(20);
    results.granted(release).release(200);
  }
  await vi.advanceTimersByTimeAsync(300);
  expect((await results.kinds()).filter((kind) => kind === "rejected")).toEqual([]);
});
