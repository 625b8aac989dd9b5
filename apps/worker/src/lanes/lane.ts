import { Worker, type WorkerOptions } from "bullmq";
import { KEY_PREFIX } from "@postrider/shared/queue/keys.ts";
import type { Context } from "../context.ts";

/** A blocking read of an empty queue returns this often, in seconds, so that stopping never waits longer. */
const DRAIN_DELAY_S = 1;

/** BullMQ's default, 15 s, is longer than a failover. */
const RETRY_DELAY_MS = 1_000;
/** A blocking read ends this often, in seconds, so that a server that no longer answers is noticed soon after. */
const MAX_BLOCK_S = 3;

/** A loop over one queue. */
export interface Lane {
  /** Takes no more jobs, gives back deliveries that have not started, and waits for the requests on the wire. */
  stop(): Promise<void>;
}

/** The BullMQ options of every lane. poison.ts limits how often a job may stall; BullMQ would just fail the job. */
export const laneOptions = ({ settings, workerRedis }: Context) =>
  ({
    connection: workerRedis,
    prefix: KEY_PREFIX,
    lockDuration: settings.lockDurationMs,
    stalledInterval: settings.stalledIntervalMs,
    maxStalledCount: Number.MAX_SAFE_INTEGER,
    drainDelay: DRAIN_DELAY_S,
    runRetryDelay: RETRY_DELAY_MS,
  }) satisfies WorkerOptions;

/** A BullMQ worker that waits for less long at a time. BullMQ drops a blocking read that is a second late. */
export class LaneWorker<Data> extends Worker<Data> {
  protected override getBlockTimeout(blockUntil: number): number {
    return Math.min(super.getBlockTimeout(blockUntil), MAX_BLOCK_S);
  }
}
