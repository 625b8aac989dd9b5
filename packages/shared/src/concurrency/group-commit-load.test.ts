import { expect, test } from "vitest";
import { BufferFullError, GroupCommit } from "./group-commit.ts";

interface Item {
  owner: string;
  load: number;
}

/** A buffer of 16 rows whose flushes block until `open`. */
function blocking() {
  const blocked: (() => void)[] = [];
  const flushes: Item[][] = [];
  let isOpen = false;
  let looks = 0;
  const commits = new GroupCommit<Item, string>({
    async flush(items) {
      flushes.push([...items]);
      if (!isOpen) await new Promise<void>((resolve) => blocked.push(resolve));
      return items.map(({ owner }) => owner);
    },
    failsAll: () => false,
    weigh: () => ({ rows: 1, bytes: 1 }),
    loadOf: ({ load }) => {
      looks += 1;
      return load;
    },
    ownerOf: ({ owner }) => owner,
    maxFlushing: 3,
    maxFlush: { rows: 100, bytes: 1_000, load: 1 },
    maxWaiting: { rows: 16, bytes: 1_000 },
  });
  return {
    waitingRows: () => commits.waitingRows,
    /** Of all flushes, in their order. */
    owners: () => flushes.flatMap((items) => items.map(({ owner }) => owner)).join(""),
    looks: () => looks,
    add: (items: readonly Item[]) => items.map((item) => commits.add(item)),
    whenFlushing: async (count: number) => {
      while (flushes.length < count) await new Promise((resolve) => setImmediate(resolve));
    },
    openOne: () => blocked.shift()!(),
    open: () => {
      isOpen = true;
      for (const resolve of blocked.splice(0)) resolve();
    },
  };
}

const heavy = (owner: string, count: number): Item[] => Array.from({ length: count }, () => ({ owner, load: 1 }));
const light = (owner: string, count: number): Item[] => Array.from({ length: count }, () => ({ owner, load: 0 }));
const accepted = (results: PromiseSettledResult<string>[]) =>
  results.filter(({ status }) => status === "fulfilled").length;

test("items with a load may fill half of the buffer, those of one owner a quarter, and each other owner has one beyond", async () => {
  const { add, whenFlushing, open } = blocking();
  const first = add(heavy("a", 2));
  await whenFlushing(2);
  const a = Promise.allSettled(add(heavy("a", 20)));
  const b = Promise.allSettled(add(heavy("b", 20)));
  const c = Promise.allSettled(add(heavy("c", 20)));
  const others = Promise.allSettled(add(light("d", 7)));
  await whenFlushing(3);
  open();
  await Promise.all(first);
  expect(accepted(await a)).toBe(4);
  expect(accepted(await b)).toBe(4);
  expect(accepted(await c)).toBe(1);
  expect(accepted(await others)).toBe(7);
});

test("items with a load take turns by their owners", async () => {
  const { add, whenFlushing, open, owners } = blocking();
  const all = add(heavy("a", 4));
  await whenFlushing(2);
  all.push(...add(heavy("b", 2)), ...add(heavy("c", 1)));
  open();
  await Promise.all(all);
  expect(owners()).toBe("aaabcab");
});

test("items whose load becomes known while they wait leave room for others", async () => {
  const { add, whenFlushing, openOne, open, waitingRows } = blocking();
  const first = add([...heavy("a", 2), ...light("b", 1)]);
  await whenFlushing(3);
  const items = light("a", 16);
  const waiting = Promise.allSettled(add(items));
  for (const item of items) item.load = 1;
  openOne();
  openOne();
  openOne();
  await whenFlushing(4);
  expect(waitingRows()).toBeLessThanOrEqual(4);
  const others = add(light("d", 8));
  open();
  await Promise.all([...first, ...others]);
  const results = await waiting;
  expect(accepted(results)).toBe(4);
  for (const result of results) {
    if (result.status === "rejected") expect(result.reason).toBeInstanceOf(BufferFullError);
  }
});

test("items with a load are not looked at again for each of the others", async () => {
  const { add, whenFlushing, open, looks } = blocking();
  const first = add(heavy("a", 2));
  await whenFlushing(2);
  const waiting = add(heavy("a", 4));
  await new Promise((resolve) => setImmediate(resolve));
  const before = looks();
  const other = add(light("d", 1));
  await whenFlushing(3);
  // Once when it is added, and once when it is taken.
  expect(looks() - before).toBe(2);
  open();
  await Promise.all([...first, ...waiting, ...other]);
});

test("items whose load their flush finds are flushed apart, and the others at once", async () => {
  const flushes: Item[][] = [];
  const commits = new GroupCommit<Item, string>({
    async flush(items) {
      flushes.push([...items]);
      const unknown = items.filter(({ load }) => load < 0);
      for (const item of unknown) item.load = 1;
      if (unknown.length > 0) throw new Error("unknown load");
      return items.map(({ owner }) => owner);
    },
    failsAll: () => false,
    weigh: () => ({ rows: 1, bytes: 1 }),
    loadOf: ({ load }) => Math.max(load, 0),
    isUnknownLoad: (error) => (error as Error).message === "unknown load",
    maxFlush: { rows: 100, bytes: 1_000, load: 1 },
    maxWaiting: { rows: 16, bytes: 1_000 },
  });
  const owners = ["a", "b", "c", "d"];
  const results = owners.map((owner) => commits.add({ owner, load: owner < "c" ? -1 : 0 }));
  expect(await Promise.all(results)).toEqual(owners);
  expect(flushes.map((items) => items.map(({ owner }) => owner).join(""))).toEqual(["abcd", "cd", "a", "b"]);
  await commits.idle();
});
