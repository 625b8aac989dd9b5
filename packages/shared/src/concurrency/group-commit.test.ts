import { expect, test } from "vitest";
import { BufferFullError, GroupCommit, type GroupCommitOptions } from "./group-commit.ts";

class BadData extends Error {}

/** A group commit of numbers whose flushes can be held back and looked at. */
function recording(options: Partial<GroupCommitOptions<number, number>> = {}) {
  const flushes: number[][] = [];
  const gates: (() => void)[] = [];
  let gated = false;
  const commits = new GroupCommit<number, number>({
    async flush(items) {
      flushes.push([...items]);
      if (gated) await new Promise<void>((resolve) => gates.push(resolve));
      if (items.some((item) => item < 0)) throw new BadData();
      return items.map((item) => item * 10);
    },
    isDataError: (error) => error instanceof BadData,
    weigh: () => ({ rows: 1, bytes: 1 }),
    maxFlush: { rows: 100, bytes: 1_000 },
    maxWaiting: { rows: 1_000, bytes: 1_000 },
    ...options,
  });
  return {
    commits,
    flushes,
    gate: () => (gated = true),
    open: () => gates.shift()!(),
    whenGated: async (count: number) => {
      while (gates.length < count) await new Promise((resolve) => setImmediate(resolve));
    },
  };
}

test("what arrives in one turn is one flush, and each caller has its own result", async () => {
  const { commits, flushes } = recording();
  expect(await Promise.all([1, 2, 3].map((item) => commits.add(item)))).toEqual([10, 20, 30]);
  expect(flushes).toEqual([[1, 2, 3]]);
});

test("what arrives while a flush is under way goes into the next one", async () => {
  const { commits, flushes, gate, open, whenGated } = recording();
  gate();
  const first = commits.add(1);
  await whenGated(1);
  const later = [2, 3].map((item) => commits.add(item));
  open();
  await first;
  await whenGated(1);
  open();
  expect(await Promise.all(later)).toEqual([20, 30]);
  expect(flushes).toEqual([[1], [2, 3]]);
});

test("as many flushes are under way at once as may be, and no more", async () => {
  const { commits, flushes, gate, open, whenGated } = recording({ maxFlushing: 2 });
  gate();
  const first = commits.add(1);
  await whenGated(1);
  const second = commits.add(2);
  await whenGated(2);
  const later = [3, 4].map((item) => commits.add(item));
  await new Promise((resolve) => setImmediate(resolve));
  expect(flushes).toEqual([[1], [2]]);
  open();
  await first;
  await whenGated(2);
  expect(flushes).toEqual([[1], [2], [3, 4]]);
  open();
  open();
  expect(await Promise.all([second, ...later])).toEqual([20, 30, 40]);
});

test("paced flushes keep a distance, unless there is enough for one, and none waits for nothing", async () => {
  const { commits, flushes } = recording({ pace: { ms: 300, after: 1, enough: 2 } });
  expect(await commits.add(1)).toBe(10);
  const later = commits.add(2);
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(flushes).toEqual([[1]]);
  expect(await later).toBe(20);
  const patient = recording({ pace: { ms: 60_000, after: 1, enough: 2 } });
  expect(await Promise.all([1, 2, 3, 4].map((item) => patient.commits.add(item)))).toEqual([10, 20, 30, 40]);
});

test("a flush that keeps its distance begins as soon as there is enough for it", async () => {
  const { commits, flushes } = recording({ pace: { ms: 60_000, after: 1, enough: 3 }, maxFlushing: 2 });
  await commits.add(1);
  const early = [commits.add(2), commits.add(3)];
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(flushes).toEqual([[1]]);
  expect(await Promise.all([...early, commits.add(4)])).toEqual([20, 30, 40]);
  expect(flushes).toEqual([[1], [2, 3, 4]]);
});

test("a caller that comes alone, again and again, is never paced; several together are", async () => {
  const { commits, flushes } = recording({ pace: { ms: 300, after: 2, enough: 100 } });
  for (const item of [1, 2, 3]) await commits.add(item);
  expect(flushes).toEqual([[1], [2], [3]]);
  await Promise.all([4, 5].map((item) => commits.add(item)));
  const later = commits.add(6);
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(flushes).toEqual([[1], [2], [3], [4, 5]]);
  expect(await later).toBe(60);
});

test("an item that is added the moment a flush ends is not forgotten", async () => {
  const { commits } = recording();
  for (let turns = 0; turns < 5; turns += 1) {
    let following = commits.add(turns);
    for (let depth = 0; depth < 10; depth += 1) following = following.then(() => commits.add(depth));
    expect(await following).toBe(90);
  }
});

test("one bad item fails alone, its neighbours are committed", async () => {
  const { commits } = recording();
  const results = await Promise.allSettled([1, 2, -3, 4, 5].map((item) => commits.add(item)));
  expect(results.map(({ status }) => status)).toEqual(["fulfilled", "fulfilled", "rejected", "fulfilled", "fulfilled"]);
});

test("an error that is nobody's data fails the flush as a whole, once", async () => {
  let calls = 0;
  const { commits } = recording({
    flush: () => {
      calls += 1;
      return Promise.reject(new Error("away"));
    },
  });
  const results = await Promise.allSettled([1, 2, 3].map((item) => commits.add(item)));
  expect(results.every(({ status }) => status === "rejected")).toBe(true);
  expect(calls).toBe(1);
});

test("two items with one key never share a flush, and both are committed in order", async () => {
  const { commits, flushes } = recording({ keysOf: (item) => [String(item % 2)] });
  expect(await Promise.all([1, 3, 2, 5].map((item) => commits.add(item)))).toEqual([10, 30, 20, 50]);
  expect(flushes).toEqual([[1, 2], [3], [5]]);
});

test("a flush is bounded in rows and bytes, but an item larger than the bound still goes", async () => {
  const { commits, flushes } = recording({
    weigh: (item) => ({ rows: 1, bytes: item }),
    maxFlush: { rows: 2, bytes: 10 },
  });
  await Promise.all([1, 2, 3, 50, 4].map((item) => commits.add(item)));
  expect(flushes).toEqual([[1, 2], [3], [50], [4]]);
});

test("a full buffer refuses what comes, and takes it again when there is room", async () => {
  const { commits, gate, open, whenGated } = recording({ maxWaiting: { rows: 2, bytes: 1_000 } });
  gate();
  const first = commits.add(1);
  await whenGated(1);
  const waiting = [2, 3].map((item) => commits.add(item));
  await expect(commits.add(4)).rejects.toBeInstanceOf(BufferFullError);
  open();
  await first;
  await whenGated(1);
  open();
  await Promise.all(waiting);
  const again = commits.add(4);
  await whenGated(1);
  open();
  expect(await again).toBe(40);
});
