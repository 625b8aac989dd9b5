import type { Redis } from "ioredis";
import type { Pool } from "pg";
import type { Breakers } from "../../breaker/breakers.ts";
import { firstIdAt, timeOfId } from "../../core/ids/id-range.ts";
import { HELD_REASONS } from "../../core/delivery/states.ts";
import type { Queues } from "../../queue/queues.ts";
import { readRoster, type WorkerSeen } from "./roster.ts";
import { readWatchdogLog, type WatchdogLog } from "./watchdog-log.ts";

const DAY_MS = 86_400_000;
/** More dead letters than this are not counted one by one. */
export const MOST_COUNTED = 10_000;

/** The whole fleet at a glance. What could not be read is undefined: unknown is not zero. */
export interface FleetState {
  lanes: { lane: string; state: string; jobs: number }[] | undefined;
  /** Every reason, also those for which nothing is held. */
  held: { reason: string; deliveries: number }[] | undefined;
  /** Subscriptions whose breaker is not closed. */
  breakers: { open: number; half_open: number } | undefined;
  /** Age of the oldest delivery that should have been attempted by now; 0 where there is none. */
  oldestDueSeconds: number | undefined;
  /** Dead letters of events of the last 24 hours; MOST_COUNTED where there are as many or more. */
  deadLastDay: number | undefined;
  workers: WorkerSeen[] | undefined;
  watchdog: WatchdogLog | undefined;
  redis: { usedBytes: number; maxBytes: number | undefined; evicts: boolean } | undefined;
  postgres: { databaseBytes: number; connections: number; maxConnections: number } | undefined;
}

interface Sources {
  pool: Pool;
  redis: Redis;
  queues: Queues;
  breakers: Pick<Breakers, "count">;
}

/** Reads it from Postgres and Redis: a few statements that read by index, and a few commands. Never throws. */
export async function readFleetState({ pool, redis, queues, breakers }: Sources, now: number): Promise<FleetState> {
  const known = <T>(value: Promise<T>): Promise<T | undefined> => value.catch(() => undefined);
  const [lanes, held, counted, oldestDueSeconds, deadLastDay, workers, watchdog, memory, postgres] = await Promise.all([
    known(readLanes(queues)),
    known(readHeld(pool)),
    known(breakers.count(now)),
    known(readOldestDue(pool, now)),
    known(readDead(pool, now)),
    known(readRoster(redis, now)),
    known(readWatchdogLog(redis)),
    known(readMemory(redis)),
    known(readPostgres(pool)),
  ]);
  return { lanes, held, breakers: counted, oldestDueSeconds, deadLastDay, workers, watchdog, redis: memory, postgres };
}

async function readLanes(queues: Queues) {
  const lanes = ["dispatch", "retry", "control"] as const;
  const counts = await Promise.all(
    lanes.map((lane) => queues[lane].getJobCounts("waiting", "prioritized", "active", "delayed", "failed")),
  );
  return lanes.flatMap((lane, index) => Object.entries(counts[index]!).map(([state, jobs]) => ({ lane, state, jobs })));
}

/** Whoever looks every few seconds shall not pay for the largest backlog. */
const MOST_HELD = 1_000_000;

async function readHeld(pool: Pool) {
  const { rows } = await pool.query<{ reason: string; deliveries: number }>(
    `select held_reason as reason, count(*)::int as deliveries
     from (select held_reason from deliveries where state = 'held' limit ${MOST_HELD}) held group by held_reason`,
  );
  const held = new Map(rows.map(({ reason, deliveries }) => [reason, deliveries]));
  return HELD_REASONS.map((reason) => ({ reason, deliveries: held.get(reason) ?? 0 }));
}

async function readOldestDue(pool: Pool, now: number): Promise<number> {
  const { rows } = await pool.query<{ pending: string | null; retrying: number | null }>(`
    select (select batch_id from deliveries where state = 'pending' order by batch_id limit 1) as pending,
      (select extract(epoch from now() - next_attempt_at)::float8 from deliveries
       where state = 'retrying' order by next_attempt_at limit 1) as retrying`);
  const row = rows[0]!;
  // A batch id begins with the time at which its deliveries became pending.
  const pending = row.pending === null ? 0 : (now - timeOfId(row.pending)) / 1000;
  return Math.max(0, pending, row.retrying ?? 0);
}

async function readDead(pool: Pool, now: number): Promise<number> {
  const { rows } = await pool.query<{ count: number }>(
    `select count(*)::int as count from (select from deliveries where state = 'dead' and id >= $1 limit ${MOST_COUNTED}) dead`,
    [firstIdAt(now - DAY_MS)],
  );
  return rows[0]!.count;
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

async function readPostgres(pool: Pool) {
  const { rows } = await pool.query<{ databaseBytes: number; connections: number; maxConnections: number }>(`
    select pg_database_size(current_database())::float8 as "databaseBytes",
      (select count(*)::int from pg_stat_activity where backend_type = 'client backend') as connections,
      current_setting('max_connections')::int as "maxConnections"`);
  return rows[0]!;
}
