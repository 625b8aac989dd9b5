import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Slots, type SlotResult, type SlotRequest } from "./slots.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const never = new AbortController().signal;
const noTokens = () => Promise.reject(new Error("nobody has a rate limit here"));

let made = 0;
const want = (subscription: string, over: Partial<SlotRequest> = {}): SlotRequest => ({
  subscription,
  tenant: "default",
  order: String((made += 1)).padStart(9, "0"),
  maxInFlight: 32,
  rateLimit: null,
  signal: never,
  onBlocked: () => undefined,
  ...over,
});

/** What has been decided so far of turns asked for. */
function watch(turns: readonly Promise<SlotResult>[]) {
  const decided: (SlotResult | undefined)[] = turns.map(() => undefined);
  for (const [index, turn] of turns.entries()) void turn.then((it) => (decided[index] = it));
  return {
    async kinds() {
      await vi.advanceTimersByTimeAsync(0);
      return decided.map((turn) => turn?.kind ?? "waiting");
    },
    turn(index: number) {
      const turn = decided[index];
      if (turn?.kind !== "granted") throw new Error(`turn ${index} is ${turn?.kind ?? "waiting"}`);
      return turn;
    },
  };
}

test("a subscription has at most `maxInFlight` slots, and the next one goes to its oldest delivery", async () => {
  const slots = new Slots(100, noTokens);
  const orders = ["1", "2", "5", "3", "4"];
  const turns = watch(orders.map((order) => slots.acquire(want("a", { maxInFlight: 2, order }))));
  expect(await turns.kinds()).toEqual(["granted", "granted", "waiting", "waiting", "waiting"]);
  turns.turn(0).release();
  expect(await turns.kinds()).toEqual(["granted", "granted", "waiting", "granted", "waiting"]);
  turns.turn(1).release();
  expect(await turns.kinds()).toEqual(["granted", "granted", "waiting", "granted", "granted"]);
});

test("hanging subscribers, however many, leave free slots for one that comes after them", async () => {
  const slots = new Slots(256, noTokens);
  const names = Array.from({ length: 30 }, (_, index) => `hanging-${index}`);
  for (const name of names) for (let count = 0; count < 32; count += 1) void slots.acquire(want(name));
  await vi.advanceTimersByTimeAsync(0);
  expect(slots.inUse).toBeLessThan(256);
  expect(await watch([slots.acquire(want("well"))]).kinds()).toEqual(["granted"]);
});

test("a subscription that answers has more and more, up to half of the slots", async () => {
  const slots = new Slots(10, noTokens);
  const turns = watch(Array.from({ length: 30 }, () => slots.acquire(want("a"))));
  const peaks: number[] = [];
  for (let release = 0; release < 20; release += 1) {
    await turns.kinds();
    peaks.push(slots.inUse);
    turns.turn(release).release();
  }
  expect(peaks.slice(0, 5)).toEqual([2, 3, 4, 5, 5]);
  expect(Math.max(...peaks)).toBe(5);
});

test("and up to its maxInFlight, where that is less", async () => {
  const slots = new Slots(100, noTokens);
  const turns = watch(Array.from({ length: 30 }, () => slots.acquire(want("a", { maxInFlight: 3 }))));
  for (let release = 0; release < 20; release += 1) {
    await turns.kinds();
    expect(slots.inUse).toBeLessThanOrEqual(3);
    turns.turn(release).release();
  }
});

test("a worker with a single slot works", async () => {
  const slots = new Slots(1, noTokens);
  const turns = watch([slots.acquire(want("a")), slots.acquire(want("b"))]);
  expect(await turns.kinds()).toEqual(["granted", "waiting"]);
  turns.turn(0).release();
  expect(await turns.kinds()).toEqual(["granted", "granted"]);
});

test("what waits for a second for its own subscription is over, and what waits for the others' slots waits on", async () => {
  const slots = new Slots(2, noTokens);
  const turns = watch([
    slots.acquire(want("slow", { maxInFlight: 1 })),
    slots.acquire(want("other")),
    slots.acquire(want("slow", { maxInFlight: 1 })),
    slots.acquire(want("third")),
  ]);
  await vi.advanceTimersByTimeAsync(1_100);
  expect(await turns.kinds()).toEqual(["granted", "granted", "rejected", "waiting"]);
});

test("a wait that can be foreseen to be longer than a second is not begun", async () => {
  const slots = new Slots(100, noTokens);
  const first = watch([
    slots.acquire(want("slow", { maxInFlight: 2 })),
    slots.acquire(want("slow", { maxInFlight: 2 })),
  ]);
  await first.kinds();
  await vi.advanceTimersByTimeAsync(600);
  // Two at a time, and they take 600 ms at least: the first to wait is served in 300 ms, the fourth not within a second.
  const later = watch(Array.from({ length: 4 }, () => slots.acquire(want("slow", { maxInFlight: 2 }))));
  expect(await later.kinds()).toEqual(["waiting", "waiting", "waiting", "rejected"]);
});

test("a probe that hangs keeps nobody from beginning to wait, and is no subscription that is held up", async () => {
  const slots = new Slots(100, noTokens);
  const probe = want("a", { isProbe: true, maxInFlight: 1 });
  expect(await watch([slots.acquire(probe)]).kinds()).toEqual(["granted"]);
  await vi.advanceTimersByTimeAsync(5_000);
  expect([...slots.blockedSubscriptions()]).toEqual([]);
  expect(await watch([slots.acquire(want("a")), slots.acquire(want("b"))]).kinds()).toEqual(["granted", "granted"]);
});

test("after one had to be let go the next do not begin to wait, until a request of theirs has ended", async () => {
  const slots = new Slots(100, noTokens);
  const turns = watch([1, 2, 3].map(() => slots.acquire(want("a", { maxInFlight: 2 }))));
  await vi.advanceTimersByTimeAsync(1_100);
  expect(await turns.kinds()).toEqual(["granted", "granted", "rejected"]);
  expect([...slots.blockedSubscriptions()]).toEqual([["a", "max_in_flight"]]);
  expect(await watch([slots.acquire(want("a", { maxInFlight: 2 }))]).kinds()).toEqual(["rejected"]);
  turns.turn(0).release();
  const later = watch([slots.acquire(want("a", { maxInFlight: 2 })), slots.acquire(want("a", { maxInFlight: 2 }))]);
  expect(await later.kinds()).toEqual(["granted", "waiting"]);
});

test("tenants take turns, however many deliveries and subscriptions one of them has", async () => {
  const slots = new Slots(1, noTokens);
  const first = watch([slots.acquire(want("busy"))]);
  await first.kinds();
  const flood = [1, 2, 3].flatMap((number) =>
    [1, 2, 3].map(() => slots.acquire(want(`flood-${number}`, { tenant: "flooding" }))),
  );
  const light = slots.acquire(want("light", { tenant: "quiet" }));
  const turns = watch([...flood, light]);
  await turns.kinds();
  first.turn(0).release();
  const served: number[] = [];
  for (let step = 0; step < 3; step += 1) {
    const kinds = await turns.kinds();
    const index = kinds.findIndex((kind, at) => kind === "granted" && !served.includes(at));
    served.push(index);
    turns.turn(index).release();
  }
  // One of the flood, the quiet tenant, and then the flood's next subscription.
  expect(served).toEqual([0, 9, 3]);
});

test("who waits for its own subscription says so, and who waits for a free slot does not", async () => {
  const slots = new Slots(2, noTokens);
  const heldUp: string[] = [];
  const named = (name: string) => want(name, { maxInFlight: 1, onBlocked: () => void heldUp.push(name) });
  for (const name of ["a", "b", "a", "c"]) void slots.acquire(named(name));
  await vi.advanceTimersByTimeAsync(0);
  expect(heldUp).toEqual(["a"]);
});

test("how a subscription did is remembered over a pause of its deliveries, and not for long", async () => {
  const slots = new Slots(256, noTokens);
  const burst = async () => {
    const turns = watch(Array.from({ length: 20 }, () => slots.acquire(want("a"))));
    const granted = (await turns.kinds()).filter((kind) => kind === "granted").length;
    for (let release = 0; release < 20; release += 1) {
      await turns.kinds();
      turns.turn(release).release();
    }
    return granted;
  };
  expect(await burst()).toBe(4);
  await vi.advanceTimersByTimeAsync(4_000);
  expect(await burst()).toBe(20);
  await vi.advanceTimersByTimeAsync(6_000);
  expect(await burst()).toBe(4);
});

test("an aborted waiter leaves, and takes no slot from the next", async () => {
  const slots = new Slots(1, noTokens);
  const aborting = new AbortController();
  const turns = watch([
    slots.acquire(want("a")),
    slots.acquire(want("b", { signal: aborting.signal })),
    slots.acquire(want("c")),
  ]);
  aborting.abort();
  expect(await turns.kinds()).toEqual(["granted", "aborted", "waiting"]);
  turns.turn(0).release();
  expect(await turns.kinds()).toEqual(["granted", "aborted", "granted"]);
  expect([slots.inUse, slots.waiting]).toEqual([1, 0]);
});

test("a worker is full while more waits than an eighth of its slots, and says when it is no longer", async () => {
  const slots = new Slots(8, noTokens);
  const turns = watch(Array.from({ length: 10 }, (_, index) => slots.acquire(want(`subscription-${index}`))));
  await turns.kinds();
  expect(slots.isFull).toBe(true);
  let hasRoom = false;
  const room = slots.waitForCapacity(never, 60_000).then(() => (hasRoom = true));
  await vi.advanceTimersByTimeAsync(0);
  expect(hasRoom).toBe(false);
  turns.turn(0).release();
  await room;
  expect(slots.isFull).toBe(false);
});

test("a worker that gets much release may have more waiting: a quarter of a second's worth of it", async () => {
  const slots = new Slots(2, noTokens);
  for (let ms = 0; ms < 3_000; ms += 1) {
    const turn = await slots.acquire(want("fast"));
    if (turn.kind === "granted") turn.release();
    await vi.advanceTimersByTimeAsync(1);
  }
  for (let count = 0; count < 200; count += 1) void slots.acquire(want(`waiting-${count}`));
  expect(slots.isFull).toBe(false);
  for (let count = 200; count < 300; count += 1) void slots.acquire(want(`waiting-${count}`));
  expect(slots.isFull).toBe(true);
  // It gets nothing release any more.
  await vi.advanceTimersByTimeAsync(2_000);
  expect(slots.isOverfull).toBe(false);
  for (let count = 300; count < 1_400; count += 1) void slots.acquire(want(`waiting-${count}`));
  expect(slots.isOverfull).toBe(true);
});

test("what waits for slow subscribers does not make a worker full, though it has a limit, too; what waits for a fast one does", async () => {
  const slots = new Slots(100, noTokens);
  const names = Array.from({ length: 10 }, (_, index) => `slow-${index}`);
  const each = { maxInFlight: 4 };
  for (const name of names) for (let count = 0; count < 4; count += 1) void slots.acquire(want(name, each));
  await vi.advanceTimersByTimeAsync(1_100);
  for (const name of names) for (let count = 0; count < 3; count += 1) void slots.acquire(want(name, each));
  await vi.advanceTimersByTimeAsync(60);
  expect(slots.waiting).toBe(30);
  expect(slots.isFull).toBe(false);
  for (let count = 0; count < 30; count += 1) void slots.acquire(want("fast", each));
  await vi.advanceTimersByTimeAsync(60);
  expect(slots.isFull).toBe(true);
});

test("room is waited for no longer than asked", async () => {
  const slots = new Slots(1, noTokens);
  for (const name of ["a", "b", "c"]) void slots.acquire(want(name));
  const room = slots.waitForCapacity(never, 20);
  await vi.advanceTimersByTimeAsync(20);
  await room;
  expect(slots.isFull).toBe(true);
});

test("a subscription that has not answered yet has a few slots", async () => {
  for (const [size, few] of [
    [256, 4],
    [32, 4],
    [4, 2],
  ] as const) {
    const slots = new Slots(size, noTokens);
    for (let count = 0; count < 32; count += 1) void slots.acquire(want("new"));
    expect(slots.inUse).toBe(few);
  }
});

test("ten subscribers that take seconds leave more than a third of the slots; one alone still has what it is allowed", async () => {
  const slots = new Slots(256, noTokens);
  const slow = Array.from({ length: 10 }, (_, number) => `slow ${number}`);
  /** As many of each as it gets, by turns, for two seconds, so often that none has a window that is smaller than its share. */
  async function fill(names: readonly string[]): Promise<number> {
    for (let round = 0; round < 8; round += 1) {
      const turns = watch(Array.from({ length: 32 }, () => names.map((name) => slots.acquire(want(name)))).flat());
      await vi.advanceTimersByTimeAsync(2_000);
      const most = slots.inUse;
      for (const [index, kind] of (await turns.kinds()).entries()) if (kind === "granted") turns.turn(index).release();
      if (round === 7) return most;
    }
    return Number.NaN;
  }
  const taken = await fill(slow);
  expect(taken).toBeGreaterThan(100);
  expect(taken).toBeLessThanOrEqual(160);
  expect(await fill(["slow 0"])).toBe(32);
});

test("a rate limit is asked for as many tokens as can be used, one call at a time, and what it grants is sent", async () => {
  const asked: number[] = [];
  const grants = [{ granted: 1, retryInMs: 20 }, { granted: 0, retryInMs: 30 }, { granted: 1, retryInMs: 500 }]; // prettier-ignore
  const slots = new Slots(100, (_subscription, rate, wanted) => {
    expect(rate).toBe(50);
    asked.push(wanted);
    return Promise.resolve(grants.shift() ?? { granted: 0, retryInMs: 10_000 });
  });
  const turns = watch(Array.from({ length: 4 }, () => slots.acquire(want("limited", { rateLimit: 50 }))));
  expect(await turns.kinds()).toEqual(["granted", "waiting", "waiting", "waiting"]);
  await vi.advanceTimersByTimeAsync(20);
  expect(await turns.kinds()).toEqual(["granted", "waiting", "waiting", "waiting"]);
  await vi.advanceTimersByTimeAsync(30);
  expect(await turns.kinds()).toEqual(["granted", "granted", "waiting", "waiting"]);
  expect(asked).toEqual([1, 3, 3]);
  await vi.advanceTimersByTimeAsync(1_000);
  expect(await turns.kinds()).toEqual(["granted", "granted", "rejected", "rejected"]);
});

test("who comes while a rate limit has nothing to give is served when it has", async () => {
  const grants = [{ granted: 1, retryInMs: 100 }, { granted: 1, retryInMs: 100 }]; // prettier-ignore
  const slots = new Slots(100, () => Promise.resolve(grants.shift()!));
  const first = watch([slots.acquire(want("limited", { rateLimit: 10 }))]);
  expect(await first.kinds()).toEqual(["granted"]);
  first.turn(0).release();
  await vi.advanceTimersByTimeAsync(50);
  const second = watch([slots.acquire(want("limited", { rateLimit: 10 }))]);
  expect(await second.kinds()).toEqual(["waiting"]);
  await vi.advanceTimersByTimeAsync(50);
  expect(await second.kinds()).toEqual(["granted"]);
});

test("slots are kept for the tokens that are asked for, so that they are not lost where slots are short", async () => {
  let answer: (tokens: { granted: number; retryInMs: number }) => void = () => undefined;
  const slots = new Slots(4, () => new Promise((resolve) => (answer = resolve)));
  const busy = watch([slots.acquire(want("a")), slots.acquire(want("b"))]);
  await busy.kinds();
  const limited = watch([slots.acquire(want("limited", { rateLimit: 50 }))]);
  await limited.kinds();
  const others = watch(["c", "d", "e"].map((name) => slots.acquire(want(name))));
  expect(await others.kinds()).toEqual(["granted", "waiting", "waiting"]);
  answer({ granted: 1, retryInMs: 20 });
  expect(await limited.kinds()).toEqual(["granted"]);
  expect(slots.inUse).toBe(4);
});

test("what waits because all slots are taken waits on, though its subscription has one of them", async () => {
  const slots = new Slots(2, noTokens);
  const turns = watch([slots.acquire(want("a")), slots.acquire(want("b")), slots.acquire(want("a"))]);
  await vi.advanceTimersByTimeAsync(2_000);
  expect(await turns.kinds()).toEqual(["granted", "granted", "waiting"]);
});

test("one request that hangs does not hold up a subscription that is fast", async () => {
  const slots = new Slots(256, noTokens);
  const turns = watch(Array.from({ length: 60 }, () => slots.acquire(want("fast"))));
  for (let release = 1; release < 30; release += 1) {
    await turns.kinds();
    await vi.advanceTimersByTimeAsync(20);
    turns.turn(release).release();
  }
  await vi.advanceTimersByTimeAsync(300);
  expect((await turns.kinds()).filter((kind) => kind === "rejected")).toEqual([]);
});

test("more than a rate limit lets through in a second does not wait", async () => {
  const slots = new Slots(100, () => Promise.resolve({ granted: 0, retryInMs: 10_000 }));
  const turns = watch(Array.from({ length: 5 }, () => slots.acquire(want("limited", { rateLimit: 2 }))));
  expect(await turns.kinds()).toEqual(["waiting", "waiting", "waiting", "rejected", "rejected"]);
});
