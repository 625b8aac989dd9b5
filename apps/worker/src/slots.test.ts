import { expect, test } from "vitest";
import { Slots } from "./slots.ts";

const never = new AbortController().signal;

test("no more than `size` callers have a slot, and waiters are served in order", async () => {
  const slots = new Slots(2);
  expect(await slots.acquire(never)).toBe(true);
  expect(await slots.acquire(never)).toBe(true);
  const order: number[] = [];
  const waiters = [1, 2].map((number) => slots.acquire(never).then(() => order.push(number)));
  expect(slots.waiting).toBe(2);
  slots.release();
  slots.release();
  await Promise.all(waiters);
  expect(order).toEqual([1, 2]);
  expect(slots.inUse).toBe(2);
  slots.release();
  slots.release();
  expect(slots.inUse).toBe(0);
});

test("an aborted waiter leaves the queue without a slot, and takes none from the next", async () => {
  const slots = new Slots(1);
  await slots.acquire(never);
  const aborting = new AbortController();
  const aborted = slots.acquire(aborting.signal);
  const next = slots.acquire(never);
  aborting.abort();
  expect(await aborted).toBe(false);
  slots.release();
  expect(await next).toBe(true);
  expect(slots.inUse).toBe(1);
});

test("room is there when few wait, and comes when waiters are served", async () => {
  const slots = new Slots(1);
  await slots.acquire(never);
  await slots.room(1, never);
  const waiter = slots.acquire(never);
  let hasRoom = false;
  const room = slots.room(1, never).then(() => (hasRoom = true));
  await new Promise((resolve) => setImmediate(resolve));
  expect(hasRoom).toBe(false);
  slots.release();
  await room;
  expect(await waiter).toBe(true);
});
