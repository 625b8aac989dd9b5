import type { Redis } from "ioredis";
import { WORKERS_KEY } from "../../queue/keys.ts";

/** Who has not said so for this long is not there. */
const SILENT_MS = 30_000;
/** How often a worker says that it is there. */
export const BEAT_MS = 5_000;

/** A worker process, as it last said. */
export interface WorkerSeen {
  host: string;
  pid: number;
  adminPort: number;
  slots: number;
  inFlight: number;
  /** Unix milliseconds. */
  startedAt: number;
  seenAt: number;
}

/** Says that a worker is there. @param id its own among all workers */
export async function beat(redis: Redis, id: string, worker: WorkerSeen): Promise<void> {
  await redis.hset(WORKERS_KEY, id, JSON.stringify(worker));
}

export async function leave(redis: Redis, id: string): Promise<void> {
  await redis.hdel(WORKERS_KEY, id);
}

/** The workers that are there, longest running first. Those that died are forgotten on the way. */
export async function readRoster(redis: Redis, now: number): Promise<WorkerSeen[]> {
  const entries = Object.entries(await redis.hgetall(WORKERS_KEY)).map(([id, text]) => ({
    id,
    worker: JSON.parse(text) as WorkerSeen,
  }));
  const silent = entries.filter(({ worker }) => now - worker.seenAt > SILENT_MS).map(({ id }) => id);
  if (silent.length > 0) await redis.hdel(WORKERS_KEY, ...silent);
  return entries
    .filter(({ id }) => !silent.includes(id))
    .map(({ worker }) => worker)
    .sort((a, b) => a.startedAt - b.startedAt);
}
