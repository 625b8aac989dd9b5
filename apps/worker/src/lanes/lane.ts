import type { Worker, WorkerOptions } from "bullmq";
import { KEY_PREFIX } from "@postrider/shared/queue/keys.ts";
import type { Context } from "../context.ts";

/** A blocking read of an empty queue returns this often, in seconds, so that stopping never waits longer. */
const DRAIN_DELAY_S = 1;

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
  }) satisfies WorkerOptions;

/**
 * Fetches no jobs while attempts cannot be recorded.
 *
 * @returns ends this
 */
export const pauseDuringOutages = (worker: Worker, { recorder }: Context): (() => void) =>
  recorder.outage.onChange((isUnderWay) => void (isUnderWay ? worker.pause(true) : worker.resume()));
