import type { Redis } from "ioredis";
import { WORKERS_KEY } from "../../queue/keys.ts";

/** A worker without a heartbeat for this long counts as dead. */
export const HEARTBEAT_TIMEOUT_MS = 30_000;
/** Interval of a worker's heartbeats. */
export const HEARTBEAT_MS = 5_000;

/** A worker process in its last heartbeat. */
export interface WorkerSeen {
  host: string;
  pid: number;
  adminPort: number;
  slots: number;
  inFlight: number;
  /** Unix milliseconds. */
  startedAt: number;
  seenAt: number;
  /** The newest migration that its code knows; code that does not know sealed headers leaves it out. */
  schema?: number;
  /** The keys of ENCRYPTION_KEY. */
  keyIds?: readonly string[];
}

/** @param id unique among all workers */
export async function recordHeartbeat(redis: Redis, id: string, worker: WorkerSeen): Promise<void> {
  await redis.hset(WORKERS_KEY, id, JSON.stringify(worker));
}

export async function removeHeartbeat(redis: Redis, id: string): Promise<void> {
  await redis.hdel(WORKERS_KEY, id);
}

/** The live workers, longest running first. Removes the heartbeats of dead ones. */
export async function readRoster(redis: Redis, now: number): Promise<WorkerSeen[]> {
  const entries = Object.entries(await redis.hgetall(WORKERS_KEY)).map(([id, text]) => ({
    id,
    worker: JSON.parse(text) as WorkerSeen,
  }));
  const dead = entries.filter(({ worker }) => now - worker.seenAt > HEARTBEAT_TIMEOUT_MS).map(({ id }) => id);
  if (dead.length > 0) await redis.hdel(WORKERS_KEY, ...dead);
  return entries
    .filter(({ id }) => !dead.includes(id))
    .map(({ worker }) => worker)
    .sort((a, b) => a.startedAt - b.startedAt);
}
