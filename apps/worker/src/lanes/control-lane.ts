import { Worker } from "bullmq";
import { QUEUE_NAMES, QUEUE_PREFIX, type ReleaseJob } from "@postrider/shared/queue/queues.ts";
import type { Context } from "../context.ts";
import { release } from "../release-held.ts";
import type { Lane } from "./lane.ts";

const CONCURRENCY = 8;

/** Runs the release jobs: one per subscription with held deliveries. */
export function startControlLane(context: Context): Lane {
  const { settings } = context;
  const stopping = new AbortController();
  const worker = new Worker<ReleaseJob>(
    QUEUE_NAMES.control,
    (job) => release(context, job.data.subscription, stopping.signal),
    {
      connection: context.workerRedis,
      prefix: QUEUE_PREFIX,
      concurrency: CONCURRENCY,
      lockDuration: settings.lockDurationMs,
      stalledInterval: settings.stalledIntervalMs,
      maxStalledCount: Number.MAX_SAFE_INTEGER,
      drainDelay: 1,
    },
  );
  worker.on("error", context.onRedisError);
  return {
    async stop() {
      stopping.abort();
      await worker.close();
    },
  };
}
