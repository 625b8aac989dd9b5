import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { SlotRequest } from "./slot-pool.ts";
import { Slots } from "./slots.ts";
import { noTokens, request, TIMEOUT_MS, track } from "./slots-test-kit.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const newPool = (size: number) => new Slots(size, TIMEOUT_MS, noTokens);
const onTrial = (subscription: string, over: Partial<SlotRequest> = {}) =>
  request(subscription, { isProven: false, ...over });

/** Requests slots for a subscription whose receiver never answers: each request ends after the timeout. */
function hang(slots: Slots, subscription: string, tenant: string, requests: number): void {
  for (let count = 0; count < requests; count += 1) {
    void slots.acquire(onTrial(subscription, { tenant })).then((result) => {
      if (result.kind === "granted") setTimeout(() => result.release(null), TIMEOUT_MS);
    });
  }
}

/** Runs time on for a while. @returns how long a request waited for its slot, in milliseconds */
async function waitOf(slots: Slots, wanted: SlotRequest): Promise<number> {
  const since = performance.now();
  let waitedMs = Number.POSITIVE_INFINITY;
  void slots.acquire(wanted).then((result) => {
    if (result.kind === "granted") {
      waitedMs = performance.now() - since;
      result.release(200);
    }
  });
  await vi.advanceTimersByTimeAsync(10_000);
  return waitedMs;
}

for (const [title, tenantOf] of [
  ["of one tenant", () => "attacker"],
  ["of 600 tenants", (index: number) => `tenant-${index}`],
] as const) {
  test(`600 hanging subscriptions ${title} leave slots for a proven subscription at once, and for a new one soon`, async () => {
    const slots = newPool(256);
    for (let index = 0; index < 600; index += 1) hang(slots, `hanging-${index}`, tenantOf(index), 4);
    for (let second = 0; second < 4; second += 1) {
      await vi.advanceTimersByTimeAsync(1_000);
      expect(slots.inUse).toBeLessThanOrEqual(128);
      expect(await waitOf(slots, request("well", { tenant: "other" }))).toBe(0);
      expect(await waitOf(slots, onTrial(`new-${second}`, { tenant: "other" }))).toBeLessThan(2_000);
      expect(await waitOf(slots, onTrial(`new-too-${second}`, { tenant: tenantOf(second) }))).toBeLessThan(2_000);
    }
  });
}

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

test("subscriptions that answer after two seconds share half of the slots, and each may use its maxInFlight", async () => {
  /** The most slots that are in use while each subscription works off a backlog. */
  async function maxInUse(names: readonly string[]): Promise<number> {
    const slots = newPool(64);
    const over = { maxInFlight: 24, canBeHeld: false };
    for (const name of names) {
      for (let count = 0; count < 100; count += 1) {
        void slots.acquire(onTrial(name, over)).then((result) => {
          if (result.kind === "granted") setTimeout(() => result.release(200), 2_000);
        });
      }
    }
    let max = 0;
    for (let second = 0; second < 20; second += 1) {
      await vi.advanceTimersByTimeAsync(1_000);
      max = Math.max(max, slots.inUse);
    }
    return max;
  }
  expect(await maxInUse(["slow"])).toBe(24);
  expect(await maxInUse(["slow", "slow too", "third"])).toBe(32);
});

test("a request under way for more than a second makes a proven subscription slow, and its answer proven again", async () => {
  const slots = newPool(8);
  const hanging = track([1, 2, 3].map(() => slots.acquire(request("a"))));
  await hanging.kinds();
  await vi.advanceTimersByTimeAsync(1_200);
  await track([1, 2].map(() => slots.acquire(request("b")))).kinds();
  expect(slots.inUse).toBe(5);
  // Half of the slots is four, and three are used: one for a subscription on trial, none for the next.
  const onTrials = track([slots.acquire(onTrial("new")), slots.acquire(onTrial("new too"))]);
  expect(await onTrials.kinds()).toEqual(["granted", "waiting"]);
  for (const index of [0, 1, 2]) hanging.granted(index).release(200);
  expect(await onTrials.kinds()).toEqual(["granted", "granted"]);
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

test("requests that a share blocks are rejected with its name once another tenant is there", async () => {
  const slots = newPool(8);
  void slots.acquire(request("well", { tenant: "other" }));
  const results = track(["a", "b", "c", "d", "e"].map((name) => slots.acquire(onTrial(name, { tenant: "busy" }))));
  await vi.advanceTimersByTimeAsync(500);
  const others = track(["f", "g"].map((name) => slots.acquire(onTrial(name, { tenant: "quiet" }))));
  await vi.advanceTimersByTimeAsync(700);
  expect([...slots.limited()].map(({ because }) => because)).toContain("share");
  await vi.advanceTimersByTimeAsync(5_000);
  const rejected = (await Promise.all([results.kinds(), others.kinds()])).flat().filter((kind) => kind === "rejected");
  expect(rejected.length).toBeGreaterThan(0);
  expect(slots.inUse).toBeLessThanOrEqual(5);
});

test("no share rejects a request while its tenant is alone", async () => {
  const slots = newPool(8);
  const results = track(Array.from({ length: 20 }, (_, index) => slots.acquire(onTrial(`hanging-${index}`))));
  await vi.advanceTimersByTimeAsync(10_000);
  expect(new Set(await results.kinds())).toEqual(new Set(["granted", "waiting"]));
});

test("a tenant that uses its part of the half is served after the others, and its limit has a name", async () => {
  const slots = newPool(32);
  const started: string[] = [];
  const wait = (subscription: string, tenant: string) =>
    void slots.acquire(onTrial(subscription, { tenant, canBeHeld: false })).then(() => started.push(tenant));
  // Half is 16: the first 8 begin at once, and then one a second does. A quarter of the half is 4.
  for (let index = 0; index < 20; index += 1) wait(`attack-${index}`, "attacker");
  for (let index = 0; index < 4; index += 1) wait(`quiet-${index}`, "quiet");
  await vi.advanceTimersByTimeAsync(500);
  expect(started).toEqual(Array.from({ length: 8 }, () => "attacker"));
  const reasons = new Map([...slots.limited()].map(({ subscription, because }) => [subscription, because]));
  expect([reasons.get("attack-10"), reasons.get("quiet-0")]).toEqual(["tenant_share", "share"]);
  await vi.advanceTimersByTimeAsync(6_000);
  const quiet = started.slice(8).filter((tenant) => tenant === "quiet").length;
  expect(quiet).toBeGreaterThanOrEqual(3);
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

test("probes of any number of dead subscribers leave half of the slots", async () => {
  const slots = newPool(64);
  for (let index = 0; index < 200; index += 1) {
    const probe = request(`dead-${index}`, { isProbe: true, canBeHeld: false, maxInFlight: 1, tenant: `t${index}` });
    void slots.acquire(probe).then((it) => it.kind === "granted" && setTimeout(() => it.release(null), TIMEOUT_MS));
  }
  for (let second = 0; second < 60; second += 1) {
    await vi.advanceTimersByTimeAsync(1_000);
    expect(slots.inUse).toBeLessThanOrEqual(32);
  }
  expect(slots.waiting).toBeLessThan(100);
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
