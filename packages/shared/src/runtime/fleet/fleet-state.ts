import type { Redis } from "ioredis";
import type { Breakers } from "../../breaker/breakers.ts";
import { firstIdAt, timeOfId } from "../../core/ids/id-range.ts";
import { HELD_REASONS } from "../../core/delivery/states.ts";
import type { Queues } from "../../queue/queues.ts";
import type { Pool } from "../../store/pool.ts";
import { countDead } from "../../store/sql/count-dead.ts";
import { countHeldByReason } from "../../store/sql/count-held-by-reason.ts";
import { readExpansions } from "../../store/sql/read-expansions.ts";
import { readOldestDue } from "../../store/sql/read-oldest-due.ts";
import { readPostgresUsage, type PostgresUsage } from "../../store/sql/read-postgres-usage.ts";
import { readRoster, type WorkerSeen } from "./roster.ts";
import { readWatchdogLog, type WatchdogLog } from "./watchdog-log.ts";

const DAY_MS = 86_400_000;
/** Dead letters are counted up to this number. */
export const MAX_COUNTED = 10_000;

/** The state of the whole fleet. A value that could not be read is undefined, because unknown is not zero. */
export interface FleetState {
  lanes: { lane: string; state: string; jobs: number }[] | undefined;
  /** One entry per reason, also with zero deliveries. */
  held: { reason: string; deliveries: number }[] | undefined;
  /** Subscriptions whose breaker is not closed. */
  breakers: { open: number; half_open: number } | undefined;
  /** Time since the oldest due delivery should have been attempted; 0 if no delivery is due. */
  oldestDueSeconds: number | undefined;
  /** Events whose deliveries are not all written, and the age of the oldest; 0 without one. */
  expansions: { unfinished: number; oldestSeconds: number } | undefined;
  /** Dead letters of events of the last 24 hours; MAX_COUNTED if there are that many or more. */
  deadLastDay: number | undefined;
  workers: WorkerSeen[] | undefined;
  watchdog: WatchdogLog | undefined;
  redis: { usedBytes: number; maxBytes: number | undefined; evicts: boolean } | undefined;
  postgres: PostgresUsage | undefined;
}

interface Sources {
  pool: Pool;
  redis: Redis;
  queues: Queues;
  breakers: Pick<Breakers, "count">;
}

/** Reads the state from Postgres and Redis with a few cheap statements and commands. Never throws. */
export async function readFleetState({ pool, redis, queues, breakers }: Sources, now: number): Promise<FleetState> {
  const orUndefined = <T>(value: Promise<T>): Promise<T | undefined> => value.catch(() => undefined);
  const [lanes, held, counted, oldestDueSeconds, expansions, deadLastDay, workers, watchdog, memory, postgres] =
    await Promise.all([
      orUndefined(readLanes(queues)),
      orUndefined(readHeld(pool)),
      orUndefined(breakers.count(now)),
      orUndefined(readOldestDueSeconds(pool, now)),
      orUndefined(readUnfinished(pool, now)),
      orUndefined(countDead(pool, firstIdAt(now - DAY_MS), MAX_COUNTED)),
      orUndefined(readRoster(redis, now)),
      orUndefined(readWatchdogLog(redis)),
      orUndefined(readMemory(redis)),
      orUndefined(readPostgresUsage(pool)),
    ]);
  const shown = { lanes, held, breakers: counted, oldestDueSeconds, expansions, deadLastDay, workers, watchdog };
  return { ...shown, redis: memory, postgres };
}

async function readLanes(queues: Queues) {
  const lanes = ["dispatch", "retry", "control"] as const;
  const counts = await Promise.all(
    lanes.map((lane) => queues[lane].getJobCounts("waiting", "prioritized", "active", "delayed", "failed")),
  );
  return lanes.flatMap((lane, index) => Object.entries(counts[index]!).map(([state, jobs]) => ({ lane, state, jobs })));
}

async function readHeld(pool: Pool) {
  const held = new Map((await countHeldByReason(pool)).map(({ reason, deliveries }) => [reason, deliveries]));
  return HELD_REASONS.map((reason) => ({ reason, deliveries: held.get(reason) ?? 0 }));
}

async function readOldestDueSeconds(pool: Pool, now: number): Promise<number> {
  const { pendingBatch, retryingSeconds } = await readOldestDue(pool);
  const pendingSeconds = pendingBatch === null ? 0 : (now - timeOfId(pendingBatch)) / 1000;
  return Math.max(0, pendingSeconds, retryingSeconds ?? 0);
}

async function readUnfinished(pool: Pool, now: number) {
  const { unfinished, oldestEvent } = await readExpansions(pool);
  return { unfinished, oldestSeconds: oldestEvent === null ? 0 : Math.max(0, (now - timeOfId(oldestEvent)) / 1000) };
}

async function readMemory(redis: Redis) {
  const info = await redis.info("memory");
  const field = (name: string) => new RegExp(`^${name}:(.*?)\r?$`, "m").exec(info)?.[1];
  const maxBytes = Number(field("maxmemory") ?? 0);
  return {
    usedBytes: Number(field("used_memory")),
    maxBytes: maxBytes > 0 ? maxBytes : undefined,
    evicts: maxBytes > 0 && field("maxmemory_policy") !== "noeviction",
  };
}
