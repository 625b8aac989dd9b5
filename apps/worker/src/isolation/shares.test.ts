import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Slots } from "./slots.ts";
import { newPool, onTrial, request, TIMEOUT_MS, track, waitOf } from "./slots-test-kit.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** Requests slots for a subscription whose receiver never answers: each request ends after the timeout. */
function hang(slots: Slots, subscription: string, tenant: string, requests: number): void {
  for (let count = 0; count < requests; count += 1) {
    void slots.acquire(onTrial(subscription, { tenant })).then((result) => {
      if (result.kind === "granted") setTimeout(() => result.release(null), TIMEOUT_MS);
    });
  }
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

test("a receiver that takes two seconds gets maxInFlight requests at once, and is done sooner with more of them", async () => {
  async function workOff(maxInFlight: number): Promise<{ max: number; seconds: number }> {
    const slots = newPool(256);
    let left = 1_000;
    for (let count = 0; count < 1_000; count += 1) {
      void slots.acquire(onTrial("slow", { maxInFlight, canBeHeld: false })).then((result) => {
        if (result.kind !== "granted") return;
        setTimeout(() => {
          left -= 1;
          result.release(200);
        }, 2_000);
      });
    }
    let max = 0;
    for (let seconds = 1; ; seconds += 1) {
      await vi.advanceTimersByTimeAsync(1_000);
      max = Math.max(max, slots.inUse);
      if (left === 0) return { max, seconds };
    }
  }
  const [few, many] = [await workOff(32), await workOff(100)];
  expect([few.max, many.max]).toEqual([32, 100]);
  expect(many.seconds).toBeLessThan(few.seconds / 2);
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

test("requests that a share blocks are rejected with its name, later where the receiver has not been tried", async () => {
  const slots = newPool(32);
  // Half is 16: the first 8 begin at once, and then one a second does.
  for (let index = 0; index < 8; index += 1) hang(slots, `hanging-${index}`, `tenant-${index}`, 2);
  const untried = track(Array.from({ length: 20 }, (_, index) => slots.acquire(onTrial(`new-${index}`, { tenant: `t${index}` })))); // prettier-ignore
  await vi.advanceTimersByTimeAsync(1_500);
  expect(await untried.kinds()).not.toContain("rejected");
  expect([...slots.limited()].find(({ subscription }) => subscription === "new-0")?.because).toBe("share");
  await vi.advanceTimersByTimeAsync(5_000);
  expect(await untried.kinds()).toContain("rejected");
  expect(slots.inUse).toBeLessThanOrEqual(16);
});

test("while slots are scarce, a receiver that does not answer has one delivery waiting, and none after a timeout", async () => {
  const slots = newPool(32);
  for (let index = 0; index < 8; index += 1) hang(slots, `hanging-${index}`, `tenant-${index}`, 1);
  const of = (name: string) => slots.acquire(onTrial(name, { tenant: "t" }));
  expect(await track([of("new"), of("too"), of("too"), of("too")]).kinds()).toEqual(["waiting", "waiting", "rejected", "rejected"]); // prettier-ignore
  await vi.advanceTimersByTimeAsync(TIMEOUT_MS + 1);
  for (let index = 0; index < 8; index += 1) hang(slots, `later-${index}`, `tenant-${index}`, 1);
  expect(await track([of("new-2"), slots.acquire(onTrial("hanging-1"))]).kinds()).toEqual(["waiting", "rejected"]);
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
