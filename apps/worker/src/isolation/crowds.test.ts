import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { SlotRequest } from "./slot-pool.ts";
import { Slots } from "./slots.ts";
import { newPool, onTrial, request, TIMEOUT_MS, track, waitOf } from "./slots-test-kit.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test("proven subscriptions that hang all at once leave slots to others that answer", async () => {
  const slots = newPool(64);
  const well = request("well", { tenant: "well" });
  const first = await slots.acquire(well);
  if (first.kind === "granted") first.release(200);
  for (let index = 0; index < 300; index += 1) void slots.acquire(request(`hanging-${index}`, { tenant: `t${index}` }));
  expect(await waitOf(slots, well)).toBe(0);
});

test("a tenant's proven subscriptions leave slots to other tenants", async () => {
  const slots = newPool(64);
  void slots.acquire(request("well", { tenant: "well" }));
  for (let index = 0; index < 300; index += 1) void slots.acquire(request(`hanging-${index}`, { tenant: "attacker" }));
  await vi.advanceTimersByTimeAsync(0);
  expect(slots.inUse).toBeLessThanOrEqual(49);
  expect(await waitOf(slots, request("other", { tenant: "other" }))).toBe(0);
});

test("slots that are reserved for tokens of a rate limit count in the shares", async () => {
  const slots = new Slots(64, TIMEOUT_MS, async (_subscription, _rate, _burst, wanted) => {
    await new Promise((resolve) => setTimeout(resolve, 10));
    return { granted: wanted, retryInMs: 0 };
  });
  void slots.acquire(request("well", { tenant: "well" }));
  for (let index = 0; index < 200; index += 1) void slots.acquire(onTrial(`hanging-${index}`, { rate: 100 }));
  await vi.advanceTimersByTimeAsync(5_000);
  expect(slots.inUse).toBeLessThanOrEqual(33);
});

test("a tenant with large bodies has some of them under way at once, and all while it is alone", async () => {
  const large = () => request("large", { tenant: "large", bytes: 250 * 1024 });
  for (const isAlone of [true, false]) {
    const slots = newPool(256);
    if (!isAlone) void slots.acquire(request("well", { tenant: "well" }));
    const granted = track(Array.from({ length: 30 }, () => slots.acquire(large())));
    const started = (await granted.kinds()).filter((kind) => kind === "granted").length;
    expect(started).toBe(isAlone ? 30 : 17);
    expect(await track([slots.acquire(request("other", { tenant: "other" }))]).kinds()).toEqual(["granted"]);
    granted.granted(0).release(200);
    if (!isAlone) expect(await granted.kinds()).toHaveProperty("17", "granted");
  }
});

/** Keeps requests under way for a subscription: each that ends is followed by the next one. */
function keepBusy(slots: Slots, wanted: SlotRequest, requests: number, answerMs: () => number): void {
  const next = async (): Promise<void> => {
    const result = await slots.acquire({ ...wanted, order: request(wanted.subscription).order });
    await new Promise((resolve) => setTimeout(resolve, answerMs()));
    if (result.kind === "granted") result.release(200);
    return next();
  };
  for (let count = 0; count < requests; count += 1) void next();
}

test("a proven subscription that has been quiet finds a slot beside any number of busy ones", async () => {
  const slots = newPool(256);
  for (let index = 0; index < 20; index += 1) keepBusy(slots, request(`busy-${index}`), 40, () => 100);
  await vi.advanceTimersByTimeAsync(500);
  expect(await waitOf(slots, request("quiet"))).toBeLessThan(200);
  for (const tenant of ["a", "b", "c"]) {
    for (let index = 0; index < 10; index += 1)
      keepBusy(slots, request(tenant + String(index), { tenant }), 40, () => 100);
  }
  await vi.advanceTimersByTimeAsync(500);
  expect(await waitOf(slots, request("quiet too", { tenant: "d" }))).toBeLessThan(200);
});

test("slow receivers that answer leave slots for probes and for receivers that have not been tried", async () => {
  const slots = newPool(256);
  let seed = 1;
  const jitter = () => 1_500 + 1_000 * ((seed = (seed * 16_807) % 2_147_483_647) / 2_147_483_647);
  for (let index = 0; index < 3; index += 1)
    keepBusy(slots, onTrial(`slow-${index}`, { canBeHeld: false }), 40, jitter);
  await vi.advanceTimersByTimeAsync(20_000);
  expect(slots.inUse).toBe(96);
  const probe = request("shut", { isProbe: true, canBeHeld: false, maxInFlight: 1, tenant: "other" });
  expect(await waitOf(slots, probe)).toBeLessThan(1_000);
  expect(await waitOf(slots, onTrial("new", { tenant: "other" }))).toBeLessThan(1_000);
});

test("large bodies of a receiver that hangs stop their tenant for a second and not longer", async () => {
  const slots = newPool(256);
  void slots.acquire(request("well", { tenant: "well" }));
  for (let count = 0; count < 16; count += 1) void slots.acquire(request("large", { tenant: "a", bytes: 256 * 1024 }));
  expect(await waitOf(slots, request("other", { tenant: "a" }))).toBeLessThan(1_200);
});
