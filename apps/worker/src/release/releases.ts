import type { Redis } from "ioredis";
import { HEARTBEAT_MS, readRoster } from "@postrider/shared/runtime/fleet/roster.ts";

/**
 * Deliveries that all releases of this process together may have on their way. Most wait in workers for their
 * subscription, and a worker with a thousand waiting requests fetches no batch for anybody (isolation/back-pressure.ts).
 */
const MAX_ON_THE_WAY = 800;
/** Every release may have this many on their way: one under way and one waiting. */
const MIN_ON_THE_WAY = 2;

/** The release jobs of this process, and what they share. */
export class Releases {
  /** How many can run at once. */
  readonly max: number;
  /** Probes that wait for a slot. They are no running releases: nothing of them is on its way. */
  waitingProbes = 0;
  readonly #redis: Redis;
  /** The deliveries on their way of each running release. */
  readonly #running = new Set<ReadonlySet<string>>();
  #workers = 1;
  #countedAt = Number.NEGATIVE_INFINITY;

  constructor(redis: Redis, max: number) {
    this.#redis = redis;
    this.max = max;
  }

  get running(): number {
    return this.#running.size;
  }

  /** @param released the release's deliveries on their way, which it keeps up to date */
  start(released: ReadonlySet<string>): void {
    this.#running.add(released);
  }

  end(released: ReadonlySet<string>): void {
    this.#running.delete(released);
  }

  /** How many more a release may put on their way: no release has more than it leaves to the others. */
  roomFor({ size }: ReadonlySet<string>): number {
    const total = this.#running.values().reduce((sum, released) => sum + released.size, 0);
    return Math.max(MIN_ON_THE_WAY - size, Math.floor((MAX_ON_THE_WAY - total - size) / 2));
  }

  /** Live workers of the fleet, at least one. The last known number while Redis is unreachable. */
  async workers(): Promise<number> {
    const now = performance.now();
    if (now - this.#countedAt > HEARTBEAT_MS) {
      this.#countedAt = now;
      const roster = await readRoster(this.#redis, Date.now()).catch(() => undefined);
      if (roster) this.#workers = Math.max(1, roster.length);
    }
    return this.#workers;
  }
}
