// Postrider's worker without isolation: slots are granted first come, first served, however many a subscription holds,
// and no breaker ever opens.
import { setTimeout as sleep } from "node:timers/promises";
import { readWorkerSettings } from "../../packages/shared/src/runtime/settings/worker.ts";
import { runProcess } from "../../packages/shared/src/runtime/process/run.ts";
import { Semaphore } from "../../apps/worker/src/job/semaphore.ts";
import type { SlotPool, SlotResult, SlotRequest } from "../../apps/worker/src/isolation/slot-pool.ts";
import { startWorker } from "../../apps/worker/src/service.ts";
import type { BreakerReports } from "../../apps/worker/src/isolation/breaker-reports.ts";

class FirstComeSlots implements SlotPool {
  readonly size: number;
  inUse = 0;
  waiting = 0;
  readonly #semaphore: Semaphore;
  readonly #waitingForCapacity: (() => void)[] = [];

  constructor(size: number) {
    this.size = size;
    this.#semaphore = new Semaphore(size);
  }

  async acquire({ signal }: SlotRequest): Promise<SlotResult> {
    this.waiting += 1;
    const hasSlot = await this.#semaphore.acquire(signal);
    this.waiting -= 1;
    for (const wake of this.#waitingForCapacity.splice(0)) wake();
    if (!hasSlot) return { kind: "aborted" };
    this.inUse += 1;
    return {
      kind: "granted",
      waitedMs: 0,
      release: () => {
        this.inUse -= 1;
        this.#semaphore.release();
      },
    };
  }

  hasWaiters(): boolean {
    return false;
  }

  *blockedSubscriptions(): Generator<never> {}

  *limited(): Generator<never> {}

  get isFull(): boolean {
    return this.waiting > this.size / 2;
  }

  get isOverfull(): boolean {
    return this.isFull;
  }

  async waitForCapacity(_signal: AbortSignal, maxMs: number): Promise<void> {
    if (this.isFull)
      await Promise.race([sleep(maxMs), new Promise<void>((resolve) => void this.#waitingForCapacity.push(resolve))]);
  }
}

const neverFailing: BreakerReports = {
  read: async () => new Map(),
  isNotClosed: () => false,
  notClosed: () => [],
  recentlyOpened: () => [],
  acquireProbe: async () => false,
  report: async () => undefined,
  close: () => undefined,
};

await runProcess(() => {
  const settings = readWorkerSettings(process.env);
  return startWorker(settings, { slots: new FirstComeSlots(settings.maxInFlight), breakerReports: neverFailing });
});
