import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Slots } from "./slots.ts";
import { noTokens, request, track, TIMEOUT_MS } from "./slots-test-kit.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test("a subscription has at most `maxInFlight` slots, and the next one goes to its oldest delivery", async () => {
  const slots = new Slots(100, TIMEOUT_MS, noTokens);
  const orders = ["1", "2", "5", "3", "4"];
  const results = track(orders.map((order) => slots.acquire(request("a", { maxInFlight: 2, order }))));
  expect(await results.kinds()).toEqual(["granted", "granted", "waiting", "waiting", "waiting"]);
  results.granted(0).release(200);
  expect(await results.kinds()).toEqual(["granted", "granted", "waiting", "granted", "waiting"]);
  results.granted(1).release(200);
  expect(await results.kinds()).toEqual(["granted", "granted", "waiting", "granted", "granted"]);
});

test("a worker with a single slot works", async () => {
  const slots = new Slots(1, TIMEOUT_MS, noTokens);
  const results = track([slots.acquire(request("a")), slots.acquire(request("b"))]);
  expect(await results.kinds()).toEqual(["granted", "waiting"]);
  results.granted(0).release(200);
  expect(await results.kinds()).toEqual(["granted", "granted"]);
});

test("tenants take turns, however many deliveries and subscriptions one of them has", async () => {
  const slots = new Slots(1, TIMEOUT_MS, noTokens);
  const first = track([slots.acquire(request("busy"))]);
  await first.kinds();
  const flood = [1, 2, 3].flatMap((number) =>
    [1, 2, 3].map(() => slots.acquire(request(`flood-${number}`, { tenant: "flooding" }))),
  );
  const light = slots.acquire(request("light", { tenant: "quiet" }));
  const results = track([...flood, light]);
  await results.kinds();
  first.granted(0).release(200);
  const served: number[] = [];
  for (let step = 0; step < 3; step += 1) {
    const kinds = await results.kinds();
    const index = kinds.findIndex((kind, at) => kind === "granted" && !served.includes(at));
    served.push(index);
    results.granted(index).release(200);
  }
  // One request of the flood, the quiet tenant's, then the flood's next subscription.
  expect(served).toEqual([0, 9, 3]);
});

test("an aborted waiter leaves, and takes no slot from the next", async () => {
  const slots = new Slots(1, TIMEOUT_MS, noTokens);
  const aborting = new AbortController();
  const results = track([
    slots.acquire(request("a")),
    slots.acquire(request("b", { signal: aborting.signal })),
    slots.acquire(request("c")),
  ]);
  aborting.abort();
  expect(await results.kinds()).toEqual(["granted", "aborted", "waiting"]);
  results.granted(0).release(200);
  expect(await results.kinds()).toEqual(["granted", "aborted", "granted"]);
  expect([slots.inUse, slots.waiting]).toEqual([1, 0]);
});

test("a request that waits because all slots are taken keeps waiting, though its subscription has one of them", async () => {
  const slots = new Slots(2, TIMEOUT_MS, noTokens);
  const answered = track([slots.acquire(request("a"))]);
  await answered.kinds();
  answered.granted(0).release(200);
  const results = track([slots.acquire(request("a")), slots.acquire(request("b")), slots.acquire(request("a"))]);
  await vi.advanceTimersByTimeAsync(2_000);
  expect(await results.kinds()).toEqual(["granted", "granted", "waiting"]);
});
