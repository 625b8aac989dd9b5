import { Worker } from "bullmq";
import { QUEUE_NAMES, type ReleaseJob } from "@postrider/shared/queue/queues.ts";
import type { Context } from "../context.ts";
import { release } from "../release-held.ts";
import { laneOptions, type Lane } from "./lane.ts";

const CONCURRENCY = 8;

/** Runs the release jobs: one per subscription with held deliveries. */
export function startControlLane(context: Context): Lane {
  const stopping = new AbortController();
  const worker = new Worker<ReleaseJob>(
    QUEUE_NAMES.control,
    (job) => release(context, job.data.subscription, stopping.signal),
    {
      ...laneOptions(context),
      concurrency: CONCURRENCY,
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
