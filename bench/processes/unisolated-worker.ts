// Postrider's worker without isolation: slots are granted first come, first served, however many a subscription holds,
// and no breaker ever opens.
import { setTimeout as sleep } from "node:timers/promises";
import { readSettings } from "../../packages/shared/src/config/settings.ts";
import { CLOSED_BREAKER } from "../../packages/shared/src/core/breaker.ts";
import { runProcess } from "../../packages/shared/src/process/run.ts";
import { Semaphore } from "../../apps/worker/src/semaphore.ts";
import type { SlotTaker, Turn, Want } from "../../apps/worker/src/slots.ts";
import { startWorker } from "../../apps/worker/src/start.ts";
import type { SubscriberHealth } from "../../apps/worker/src/subscriber-health.ts";

class FirstComeSlots implements SlotTaker {
  readonly size: number;
  inUse = 0;
  waiting = 0;
  readonly #semaphore: Semaphore;
  readonly #told: (() => void)[] = [];

  constructor(size: number) {
    this.size = size;
    this.#semaphore = new Semaphore(size);
  }

  async take({ signal }: Want): Promise<Turn> {
    this.waiting += 1;
    const hasSlot = await this.#semaphore.acquire(signal);
    this.waiting -= 1;
    for (const tell of this.#told.splice(0)) tell();
    if (!hasSlot) return { kind: "aborted" };
    this.inUse += 1;
    return {
      kind: "granted",
      done: () => {
        this.inUse -= 1;
        this.#semaphore.release();
      },
    };
  }

  *heldUpSubscriptions(): Generator<never> {}

  get isFull(): boolean {
    return this.waiting > this.size / 2;
  }

  get isOverfull(): boolean {
    return this.isFull;
  }

  async room(_signal: AbortSignal, atMostMs: number): Promise<void> {
    if (this.isFull)
      await Promise.race([sleep(atMostMs), new Promise<void>((resolve) => void this.#told.push(resolve))]);
  }
}

const neverIll: SubscriberHealth = {
  read: async (ids) => new Map(ids.map((id) => [id, { ...CLOSED_BREAKER, now: Date.now(), changed: false }])),
  generationNow: (_subscription, generation) => generation,
  shutSubscriptions: () => [],
  justHeardShut: () => [],
  takeProbe: async () => undefined,
  report: async () => undefined,
};

await runProcess(() => {
  const settings = readSettings(process.env);
  return startWorker(settings, { slots: new FirstComeSlots(settings.maxInFlight), health: neverIll });
});
