import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Slots } from "./slots.ts";
import { never, noTokens, request, track, TIMEOUT_MS } from "./slots-test-kit.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test("a worker is full while more requests wait than an eighth of its slots, and wakes the lanes when it is no longer", async () => {
  const slots = new Slots(8, TIMEOUT_MS, noTokens);
  const results = track(Array.from({ length: 9 }, (_, index) => slots.acquire(request(`subscription-${index}`))));
  await results.kinds();
  expect(slots.isFull).toBe(true);
  let hasCapacity = false;
  const capacity = slots.waitForCapacity(never, 60_000).then(() => (hasCapacity = true));
  await vi.advanceTimersByTimeAsync(0);
  expect(hasCapacity).toBe(false);
  results.granted(0).release(200);
  await capacity;
  expect(slots.isFull).toBe(false);
});

test("a worker that completes many requests may have more waiting: a quarter of a second's worth", async () => {
  const slots = new Slots(2, TIMEOUT_MS, noTokens);
  for (let ms = 0; ms < 3_000; ms += 1) {
    const result = await slots.acquire(request("fast"));
    if (result.kind === "granted") result.release(200);
    await vi.advanceTimersByTimeAsync(1);
  }
  for (let count = 0; count < 200; count += 1) void slots.acquire(request(`waiting-${count}`));
  expect(slots.isFull).toBe(false);
  for (let count = 200; count < 300; count += 1) void slots.acquire(request(`waiting-${count}`));
  expect(slots.isFull).toBe(true);
  // No request completes any more.
  await vi.advanceTimersByTimeAsync(2_000);
  expect(slots.isOverfull).toBe(false);
  for (let count = 300; count < 1_400; count += 1) void slots.acquire(request(`waiting-${count}`));
  expect(slots.isOverfull).toBe(true);
});

test("requests that slow subscribers block don't make a worker full; requests for a fast subscriber do", async () => {
  const slots = new Slots(100, TIMEOUT_MS, noTokens);
  const names = Array.from({ length: 10 }, (_, index) => `slow-${index}`);
  const each = { maxInFlight: 4 };
  for (const name of names) for (let count = 0; count < 4; count += 1) void slots.acquire(request(name, each));
  await vi.advanceTimersByTimeAsync(1_100);
  const released = { ...each, canBeHeld: false };
  for (const name of names) for (let count = 0; count < 3; count += 1) void slots.acquire(request(name, released));
  await vi.advanceTimersByTimeAsync(110);
  expect(slots.waiting).toBe(30);
  expect(slots.isFull).toBe(false);
  for (let count = 0; count < 30; count += 1) void slots.acquire(request("fast", each));
  await vi.advanceTimersByTimeAsync(110);
  expect(slots.isFull).toBe(true);
});

test("waiting for capacity ends after the given time", async () => {
  const slots = new Slots(1, TIMEOUT_MS, noTokens);
  for (const name of ["a", "b", "c"]) void slots.acquire(request(name));
  const capacity = slots.waitForCapacity(never, 20);
  await vi.advanceTimersByTimeAsync(20);
  await capacity;
  expect(slots.isFull).toBe(true);
});
