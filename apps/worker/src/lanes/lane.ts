import type { WorkerOptions } from "bullmq";
import { KEY_PREFIX } from "@postrider/shared/queue/keys.ts";
import type { Context } from "../context.ts";

/** A blocking read of an empty queue returns this often, in seconds, so that stopping never waits longer. */
const DRAIN_DELAY_S = 1;

/** What every lane asks of BullMQ. How often a job may stall is decided in poison.ts and not by BullMQ, which would fail it. */
export const laneOptions = ({ settings, workerRedis }: Context) =>
  ({
    connection: workerRedis,
    prefix: KEY_PREFIX,
    lockDuration: settings.lockDurationMs,
    stalledInterval: settings.stalledIntervalMs,
    maxStalledCount: Number.MAX_SAFE_INTEGER,
    drainDelay: DRAIN_DELAY_S,
  }) satisfies WorkerOptions;

/** A loop over one queue. */
export interface Lane {
  /** Takes no more jobs, gives back what is not started, waits for what is on the wire. */
  stop(): Promise<void>;
}
