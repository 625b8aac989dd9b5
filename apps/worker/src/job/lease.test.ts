import { EventEmitter } from "node:events";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { keepLeases, RenewableLease, type JobLease } from "./lease.ts";

const LOCK_MS = 1_000;
const never = new AbortController().signal;

beforeEach(() => void vi.useFakeTimers({ toFake: ["performance"] }));
afterEach(() => void vi.useRealTimers());

test("a lease is held until its lock was not renewed for as long as the lock lasts", () => {
  const lease = new RenewableLease(LOCK_MS, never);
  vi.advanceTimersByTime(LOCK_MS - 1);
  expect(lease.isHeld()).toBe(true);
  lease.renew(performance.now());
  vi.advanceTimersByTime(LOCK_MS - 1);
  expect(lease.isHeld()).toBe(true);
  vi.advanceTimersByTime(1);
  expect(lease.isHeld()).toBe(false);
});

test("a lease whose signal is aborted is not held", () => {
  const ending = new AbortController();
  const lease = new RenewableLease(LOCK_MS, never, ending.signal);
  ending.abort();
  expect(lease.isHeld()).toBe(false);
});

/** A BullMQ worker's events, and the jobs that were cancelled. */
function fakeWorker() {
  const cancelled: string[] = [];
  return Object.assign(new EventEmitter(), { cancelled, cancelJob: (id: string) => cancelled.push(id) > 0 });
}

test("a lease follows the renewals of its own job's lock", async () => {
  const worker = fakeWorker();
  const leases = keepLeases(worker as never, LOCK_MS, never);
  await leases.hold("mine", never, async (lease) => {
    vi.advanceTimersByTime(LOCK_MS - 1);
    worker.emit("locksRenewed", { count: 1, jobIds: ["another"] });
    expect(lease.isHeld()).toBe(true);
    vi.advanceTimersByTime(1);
    expect(lease.isHeld()).toBe(false);
    worker.emit("locksRenewed", { count: 1, jobIds: ["mine"] });
    expect(lease.isHeld()).toBe(true);
  });
});

test("a job whose lock is lost is cancelled, and its lease ends with it or with the worker", async () => {
  const worker = fakeWorker();
  const [cancelling, stopping] = [new AbortController(), new AbortController()];
  const leases = keepLeases(worker as never, LOCK_MS, stopping.signal);
  worker.emit("lockRenewalFailed", ["lost"]);
  expect(worker.cancelled).toEqual(["lost"]);
  await leases.hold("lost", cancelling.signal, async (lease) => {
    cancelling.abort();
    expect(lease.isHeld()).toBe(false);
  });
  await leases.hold("other", never, async (lease) => {
    stopping.abort();
    expect(lease.signal.aborted).toBe(true);
  });
});

test("a lease ends with its work, so that a part that goes on after the lane gave the job up sends nothing", async () => {
  const leases = keepLeases(fakeWorker() as never, LOCK_MS, never);
  const [completed, failed] = [Promise.withResolvers<JobLease>(), Promise.withResolvers<JobLease>()];
  await leases.hold("completed", never, async (lease) => {
    completed.resolve(lease);
    expect(lease.isHeld()).toBe(true);
  });
  const failing = leases.hold("failed", never, async (lease) => {
    failed.resolve(lease);
    throw new Error("broken");
  });
  await expect(failing).rejects.toThrow("broken");
  for (const lease of [await completed.promise, await failed.promise]) {
    expect(lease.isHeld()).toBe(false);
    expect(lease.signal.aborted).toBe(true);
  }
  expect(leases.endEarlier("completed")).toBe(false);
  expect(leases.endEarlier("failed")).toBe(false);
});

test("when a job comes back during its first run, the first lease ends, and renewals of the new lock do not revive it", async () => {
  const worker = fakeWorker();
  const leases = keepLeases(worker as never, LOCK_MS, never);
  const ending = Promise.withResolvers<void>();
  const running = leases.hold("job", never, async (lease) => {
    await ending.promise;
    return lease.isHeld();
  });
  expect(leases.endEarlier("job")).toBe(true);
  worker.emit("locksRenewed", { count: 1, jobIds: ["job"] });
  // It is still under way, however often the job comes back.
  expect(leases.endEarlier("job")).toBe(true);
  ending.resolve();
  expect(await running).toBe(false);
  expect(leases.endEarlier("job")).toBe(false);
});

test("the end of a job's first run leaves the lease of its second run alone", async () => {
  const worker = fakeWorker();
  const leases = keepLeases(worker as never, LOCK_MS, never);
  const ending = Promise.withResolvers<void>();
  const first = leases.hold("job", never, () => ending.promise);
  await leases.hold("job", never, async (lease) => {
    ending.resolve();
    await first;
    vi.advanceTimersByTime(LOCK_MS - 1);
    worker.emit("locksRenewed", { count: 1, jobIds: ["job"] });
    vi.advanceTimersByTime(LOCK_MS - 1);
    expect(lease.isHeld()).toBe(true);
  });
});
