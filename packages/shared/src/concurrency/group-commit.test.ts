import { expect, test } from "vitest";
import { BufferFullError, GroupCommit, type GroupCommitOptions } from "./group-commit.ts";

class BadData extends Error {}
class Unavailable extends Error {}

/** A group commit of numbers that records its flushes and can block them. */
function recording(options: Partial<GroupCommitOptions<number, number>> = {}) {
  const flushes: number[][] = [];
  const blocked: (() => void)[] = [];
  let isBlocking = false;
  const commits = new GroupCommit<number, number>({
    async flush(items) {
      flushes.push([...items]);
      if (isBlocking) await new Promise<void>((resolve) => blocked.push(resolve));
      if (items.some((item) => item < 0)) throw new BadData();
      return items.map((item) => item * 10);
    },
    failsAll: (error) => error instanceof Unavailable,
    weigh: () => ({ rows: 1, bytes: 1 }),
    maxFlush: { rows: 100, bytes: 1_000 },
    maxWaiting: { rows: 1_000, bytes: 1_000 },
    ...options,
  });
  return {
    commits,
    flushes,
    block: () => (isBlocking = true),
    open: () => blocked.shift()!(),
    whenBlocked: async (count: number) => {
      while (blocked.length < count) await new Promise((resolve) => setImmediate(resolve));
    },
  };
}

test("items of one turn share a flush, and each caller gets its own result", async () => {
  const { commits, flushes } = recording();
  expect(await Promise.all([1, 2, 3].map((item) => commits.add(item)))).toEqual([10, 20, 30]);
  expect(flushes).toEqual([[1, 2, 3]]);
});

test("items that arrive during a flush share the next one", async () => {
  const { commits, flushes, block, open, whenBlocked } = recording();
  block();
  const first = commits.add(1);
  await whenBlocked(1);
  const later = [2, 3].map((item) => commits.add(item));
  open();
  await first;
  await whenBlocked(1);
  open();
  expect(await Promise.all(later)).toEqual([20, 30]);
  expect(flushes).toEqual([[1], [2, 3]]);
});

test("maxFlushing flushes run at once, and no more", async () => {
  const { commits, flushes, block, open, whenBlocked } = recording({ maxFlushing: 2 });
  block();
  const first = commits.add(1);
  await whenBlocked(1);
  const second = commits.add(2);
  await whenBlocked(2);
  const later = [3, 4].map((item) => commits.add(item));
  await new Promise((resolve) => setImmediate(resolve));
  expect(flushes).toEqual([[1], [2]]);
  open();
  await first;
  await whenBlocked(2);
  expect(flushes).toEqual([[1], [2], [3, 4]]);
  open();
  open();
  expect(await Promise.all([second, ...later])).toEqual([20, 30, 40]);
});

test("items with a load share flushes of their own, and leave one flush to the others", async () => {
  const { commits, flushes, block, open, whenBlocked } = recording({
    maxFlushing: 3,
    maxFlush: { rows: 100, bytes: 1_000, load: 200 },
    loadOf: (item) => (item >= 100 ? 100 : 0),
  });
  block();
  const heavy = [100, 101, 102, 103, 104].map((item) => commits.add(item));
  await whenBlocked(2);
  expect(flushes).toEqual([
    [100, 101],
    [102, 103],
  ]);
  const light = [1, 2].map((item) => commits.add(item));
  await whenBlocked(3);
  expect(flushes.slice(2)).toEqual([[1, 2]]);
  open();
  await whenBlocked(3);
  expect(flushes.slice(3)).toEqual([[104]]);
  for (let n = 0; n < 3; n += 1) open();
  expect(await Promise.all([...heavy, ...light])).toEqual([1_000, 1_010, 1_020, 1_030, 1_040, 10, 20]);
});

test("paced flushes keep their distance, unless enough rows wait", async () => {
  const { commits, flushes } = recording({ pace: { ms: 300, after: 1, enough: 2 } });
  expect(await commits.add(1)).toBe(10);
  const later = commits.add(2);
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(flushes).toEqual([[1]]);
  expect(await later).toBe(20);
  const patient = recording({ pace: { ms: 60_000, after: 1, enough: 2 } });
  expect(await Promise.all([1, 2, 3, 4].map((item) => patient.commits.add(item)))).toEqual([10, 20, 30, 40]);
});

test("a paced flush starts as soon as enough rows wait", async () => {
  const { commits, flushes } = recording({ pace: { ms: 60_000, after: 1, enough: 3 }, maxFlushing: 2 });
  await commits.add(1);
  const early = [commits.add(2), commits.add(3)];
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(flushes).toEqual([[1]]);
  expect(await Promise.all([...early, commits.add(4)])).toEqual([20, 30, 40]);
  expect(flushes).toEqual([[1], [2, 3, 4]]);
});

test("single items are never paced; several together are", async () => {
  const { commits, flushes } = recording({ pace: { ms: 300, after: 2, enough: 100 } });
  for (const item of [1, 2, 3]) await commits.add(item);
  expect(flushes).toEqual([[1], [2], [3]]);
  await Promise.all([4, 5].map((item) => commits.add(item)));
  const later = commits.add(6);
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(flushes).toEqual([[1], [2], [3], [4, 5]]);
  expect(await later).toBe(60);
});

test("an item added when a flush ends is flushed too", async () => {
  const { commits } = recording();
  for (let turns = 0; turns < 5; turns += 1) {
    let following = commits.add(turns);
    for (let depth = 0; depth < 10; depth += 1) following = following.then(() => commits.add(depth));
    expect(await following).toBe(90);
  }
});

test("one bad item fails alone, and the others are committed", async () => {
  const { commits } = recording();
  const results = await Promise.allSettled([1, 2, -3, 4, 5].map((item) => commits.add(item)));
  expect(results.map(({ status }) => status)).toEqual(["fulfilled", "fulfilled", "rejected", "fulfilled", "fulfilled"]);
});

test("when the store is unavailable, the whole flush fails at once", async () => {
  let calls = 0;
  const { commits } = recording({
    flush: () => {
      calls += 1;
      return Promise.reject(new Unavailable());
    },
  });
  const results = await Promise.allSettled([1, 2, 3].map((item) => commits.add(item)));
  expect(results.every(({ status }) => status === "rejected")).toBe(true);
  expect(calls).toBe(1);
});

test("when the store becomes unavailable while bad items are isolated, the rest fails without a further try", async () => {
  const flushes: number[][] = [];
  const { commits } = recording({
    flush: (items) => {
      flushes.push([...items]);
      return Promise.reject(flushes.length > 1 ? new Unavailable() : new BadData());
    },
  });
  const results = await Promise.allSettled([1, 2, 3, 4].map((item) => commits.add(item)));
  for (const result of results) expect(result).toMatchObject({ reason: expect.any(Unavailable) });
  expect(flushes).toEqual([
    [1, 2, 3, 4],
    [1, 2],
  ]);
});

test("an error that every item fails with costs at most two flushes per item", async () => {
  const { commits, flushes } = recording();
  const results = await Promise.allSettled(Array.from({ length: 100 }, () => commits.add(-1)));
  expect(results.every(({ status }) => status === "rejected")).toBe(true);
  expect(flushes).toHaveLength(199);
});

test("two items with a common key never share a flush, and are committed in order", async () => {
  const { commits, flushes } = recording({ keysOf: (item) => [String(item % 2)] });
  expect(await Promise.all([1, 3, 2, 5].map((item) => commits.add(item)))).toEqual([10, 30, 20, 50]);
  expect(flushes).toEqual([[1, 2], [3], [5]]);
});

test("a flush is bounded in rows and bytes, except for a single larger item", async () => {
  const { commits, flushes } = recording({
    weigh: (item) => ({ rows: 1, bytes: item }),
    maxFlush: { rows: 2, bytes: 10 },
  });
  await Promise.all([1, 2, 3, 50, 4].map((item) => commits.add(item)));
  expect(flushes).toEqual([[1, 2], [3], [50], [4]]);
});

test("a full buffer refuses items, and accepts them again when there is room", async () => {
  const { commits, block, open, whenBlocked } = recording({ maxWaiting: { rows: 2, bytes: 1_000 } });
  block();
  const first = commits.add(1);
  await whenBlocked(1);
  const waiting = [2, 3].map((item) => commits.add(item));
  await expect(commits.add(4)).rejects.toBeInstanceOf(BufferFullError);
  open();
  await first;
  await whenBlocked(1);
  open();
  await Promise.all(waiting);
  const again = commits.add(4);
  await whenBlocked(1);
  open();
  expect(await again).toBe(40);
});
