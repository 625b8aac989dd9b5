import { expect, test } from "vitest";
import { Semaphore } from "./semaphore.ts";

const never = new AbortController().signal;

test("a semaphore grants at most `size` permits at once, and serves waiters in order", async () => {
  const semaphore = new Semaphore(2);
  expect(await semaphore.acquire(never)).toBe(true);
  expect(await semaphore.acquire(never)).toBe(true);
  const order: number[] = [];
  const waiters = [1, 2].map((number) => semaphore.acquire(never).then(() => order.push(number)));
  await Promise.resolve();
  expect(order).toEqual([]);
  semaphore.release();
  semaphore.release();
  await Promise.all(waiters);
  expect(order).toEqual([1, 2]);
});

test("an aborted waiter leaves the semaphore's queue, and takes no permit from the next one", async () => {
  const semaphore = new Semaphore(1);
  await semaphore.acquire(never);
  const aborting = new AbortController();
  const aborted = semaphore.acquire(aborting.signal);
  const next = semaphore.acquire(never);
  aborting.abort();
  expect(await aborted).toBe(false);
  semaphore.release();
  expect(await next).toBe(true);
});
