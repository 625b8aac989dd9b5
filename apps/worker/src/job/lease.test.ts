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
  const lease = new RenewableLease(LOCK_MS, ending.signal);
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

test("a job counts as held while any run of it is under way, and no longer when the work throws", async () => {
  const leases = keepLeases(fakeWorker() as never, LOCK_MS, never);
  let first: JobLease | undefined;
  let end = (): void => undefined;
  const running = leases.hold("job", never, (lease) => {
    first = lease;
    return new Promise<void>((resolve) => (end = resolve));
  });
  // The lock lapsed, and the job came back while its first run is under way: the newest run has the lease.
  const second = leases.hold("job", never, async () => Promise.reject(new Error("broken")));
  await expect(second).rejects.toThrow("broken");
  expect(leases.has("job")).toBe(false);
  end();
  await running;
  expect(first?.signal.aborted).toBe(false);
});
