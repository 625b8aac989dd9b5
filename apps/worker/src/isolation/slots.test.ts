import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Slots } from "./slots.ts";
import { noTokens, request, track } from "./slots-test-kit.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test("a subscription has at most `maxInFlight` slots, and the next one goes to its oldest delivery", async () => {
  const slots = new Slots(100, noTokens);
  const orders = ["1", "2", "5", "3", "4"];
  const results = track(orders.map((order) => slots.acquire(request("a", { maxInFlight: 2, order }))));
  expect(await results.kinds()).toEqual(["granted", "granted", "waiting", "waiting", "waiting"]);
  results.granted(0).release();
  expect(await results.kinds()).toEqual(["granted", "granted", "waiting", "granted", "waiting"]);
  results.granted(1).release();
  expect(await results.kinds()).toEqual(["granted", "granted", "waiting", "granted", "granted"]);
});

test("a worker with a single slot works", async () => {
  const slots = new Slots(1, noTokens);
  const results = track([slots.acquire(request("a")), slots.acquire(request("b"))]);
  expect(await results.kinds()).toEqual(["granted", "waiting"]);
  results.granted(0).release();
  expect(await results.kinds()).toEqual(["granted", "granted"]);
});

test("tenants take turns, however many deliveries and subscriptions one of them has", async () => {
  const slots = new Slots(1, noTokens);
  const first = track([slots.acquire(request("busy"))]);
  await first.kinds();
  const flood = [1, 2, 3].flatMap((number) =>
    [1, 2, 3].map(() => slots.acquire(request(`flood-${number}`, { tenant: "flooding" }))),
  );
  const light = slots.acquire(request("light", { tenant: "quiet" }));
  const results = track([...flood, light]);
  await results.kinds();
  first.granted(0).release();
  const served: number[] = [];
  for (let step = 0; step < 3; step += 1) {
    const kinds = await results.kinds();
    const index = kinds.findIndex((kind, at) => kind === "granted" && !served.includes(at));
    served.push(index);
    results.granted(index).release();
  }
  // One request of the flood, the quiet tenant's, then the flood's next subscription.
  expect(served).toEqual([0, 9, 3]);
});

test("`onBlocked` is called for a request that its own subscription blocks, and not for one that waits for a free slot", async () => {
  const slots = new Slots(2, noTokens);
  const blocked: string[] = [];
  const named = (name: string) => request(name, { maxInFlight: 1, onBlocked: () => void blocked.push(name) });
  for (const name of ["a", "b", "a", "c"]) void slots.acquire(named(name));
  await vi.advanceTimersByTimeAsync(0);
  expect(blocked).toEqual(["a"]);
});

test("an aborted waiter leaves, and takes no slot from the next", async () => {
  const slots = new Slots(1, noTokens);
  const aborting = new AbortController();
  const results = track([
    slots.acquire(request("a")),
    slots.acquire(request("b", { signal: aborting.signal })),
    slots.acquire(request("c")),
  ]);
  aborting.abort();
  expect(await results.kinds()).toEqual(["granted", "aborted", "waiting"]);
  results.granted(0).release();
  expect(await results.kinds()).toEqual(["granted", "aborted", "granted"]);
  expect([slots.inUse, slots.waiting]).toEqual([1, 0]);
});

test("a request that waits because all slots are taken keeps waiting, though its subscription has one of them", async () => {
  const slots = new Slots(2, noTokens);
  const results = track([slots.acquire(request("a")), slots.acquire(request("b")), slots.acquire(request("a"))]);
  await vi.advanceTimersByTimeAsync(2_000);
  expect(await results.kinds()).toEqual(["granted", "granted", "waiting"]);
});

/** Requests of a subscription with one slot, which another request uses: fresh ones (`f`) and released ones (`r`). */
async function queued(kinds: string) {
  const slots = new Slots(16, noTokens);
  const holder = await slots.acquire(request("a", { maxInFlight: 1 }));
  if (holder.kind !== "granted") throw new Error(holder.kind);
  const asked = kinds.split("").map((kind) => slots.acquire(request("a", { maxInFlight: 1, canBeHeld: kind === "f" })));
  return { holder, results: track(asked) };
}

test("released and fresh deliveries of a subscription take turns", async () => {
  const { holder, results } = await queued("frrrff");
  const served: number[] = [];
  for (let { release } = holder; served.length < 6; release = results.granted(served.at(-1)!).release) {
    release();
    const kinds = await results.kinds();
    served.push(kinds.findIndex((kind, index) => kind === "granted" && !served.includes(index)));
  }
  expect(served).toEqual([0, 1, 4, 2, 5, 3]);
});

test("a released delivery waits for its subscription for as long as it takes, and a fresh one for a second", async () => {
  const { holder, results } = await queued("fr");
  await vi.advanceTimersByTimeAsync(60_000);
  expect(await results.kinds()).toEqual(["rejected", "waiting"]);
  holder.release();
  expect(await results.kinds()).toEqual(["rejected", "granted"]);
});
