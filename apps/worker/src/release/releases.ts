import { setTimeout as sleep } from "node:timers/promises";
import type { Redis } from "ioredis";
import { HEARTBEAT_MS, readRoster } from "@postrider/shared/runtime/fleet/roster.ts";
import { now } from "@postrider/shared/runtime/clock.ts";
import { HeldCursors } from "./held-cursors.ts";
import { startRun, type Run } from "./run.ts";

/**
 * Deliveries that all releases of this process together may have on their way. Most wait in workers for their
 * subscription, and a worker with a thousand waiting requests fetches no batch for anybody (isolation/back-pressure.ts).
 */
const MAX_ON_THE_WAY = 800;
/** Every release may have this many on their way: one under way and one waiting. */
const MIN_ON_THE_WAY = 2;
/** A release begins with some statements: hundreds at once would take the processor from deliveries for seconds. */
const START_EVERY_MS = 1_000 / 80;
/** How long a release is remembered that yielded, or whose job will run again: its next run may be in another process. */
const REMEMBER_MS = 2 * 60_000;
/** Such releases; each takes a few kilobytes. */
const MAX_REMEMBERED = 10_000;

/** The release jobs of this process, and what they share. */
export class Releases {
  /** How many can run at once. */
  readonly max: number;
  /** Probes that wait for a slot. They are no running releases: nothing of them is on its way. */
  waitingProbes = 0;
  readonly cursors = new HeldCursors();
  readonly #redis: Redis;
  /** By subscription. */
  readonly #running = new Map<string, Run>();
  /** Releases that will run again, longest left first. Their deliveries are still on their way. */
  readonly #left = new Map<string, { run: Run; leftAt: number }>();
  #nextStartAt = 0;
  #workers = 1;
  #countedAt = Number.NEGATIVE_INFINITY;

  constructor(redis: Redis, max: number) {
    this.#redis = redis;
    this.max = max;
  }

  get running(): number {
    return this.#running.size;
  }

  /** How many of them have deliveries that move. */
  get moving(): number {
    return this.#running.values().reduce((count, { isMoving }) => count + (isMoving ? 1 : 0), 0);
  }

  /** Waits until a release may begin. */
  async waitForTurn(signal: AbortSignal): Promise<void> {
    const now = performance.now();
    const startAt = Math.max(now, this.#nextStartAt);
    this.#nextStartAt = startAt + START_EVERY_MS;
    if (startAt > now) await sleep(startAt - now, undefined, { signal }).catch(() => undefined);
  }

  /** Starts a release, or goes on with one that this process has left. The caller keeps the run up to date. */
  start(subscriptionId: string): Run {
    this.#forget();
    const now = performance.now();
    const run = this.#left.get(subscriptionId)?.run ?? startRun();
    Object.assign(run, { startedAt: now, lastActiveAt: now });
    this.#left.delete(subscriptionId);
    this.#running.set(subscriptionId, run);
    return run;
  }

  /** Remembers a running release: its job will run again. */
  leave(subscriptionId: string): void {
    const run = this.#running.get(subscriptionId);
    if (!run) return;
    this.end(subscriptionId);
    this.#left.set(subscriptionId, { run, leftAt: performance.now() });
    this.#forget();
  }

  end(subscriptionId: string): void {
    this.#running.delete(subscriptionId);
    this.#left.delete(subscriptionId);
  }

  /** How many more a release may put on their way: no release has more than it leaves to the others. */
  roomFor({ released: { size } }: Run): number {
    this.#forget();
    const left = this.#left.values().map(({ run }) => run);
    const total = [...this.#running.values(), ...left].reduce((sum, { released }) => sum + released.size, 0);
    return Math.max(MIN_ON_THE_WAY - size, Math.floor((MAX_ON_THE_WAY - total - size) / 2));
  }

  #forget(): void {
    const since = performance.now() - REMEMBER_MS;
    for (const [subscriptionId, { leftAt }] of this.#left) {
      if (leftAt > since && this.#left.size <= MAX_REMEMBERED) return;
      this.#left.delete(subscriptionId);
    }
  }

  /** Live workers of the fleet, at least one. The last known number while Redis is unreachable. */
  async workers(): Promise<number> {
    const calledAt = performance.now();
    if (calledAt - this.#countedAt > HEARTBEAT_MS) {
      this.#countedAt = calledAt;
      const roster = await readRoster(this.#redis, now()).catch(() => undefined);
      if (roster) this.#workers = Math.max(1, roster.length);
    }
    return this.#workers;
  }
}
