import { UnrecoverableError, type Job } from "bullmq";
import type { DeadLetterJob } from "@postrider/shared/queue/jobs.ts";
import { DEAD_LETTERS } from "@postrider/shared/queue/queues.ts";
import type { Context } from "../context.ts";
import { laneOptions, LaneWorker, type Lane } from "./lane.ts";

/** Fails the job of each dead letter at once, so that the board shows it as failed with its reason. */
export function startDeadLetters(context: Context): Lane {
  const fail = ({ data }: Job<DeadLetterJob>): never => {
    throw new UnrecoverableError(data.error);
  };
  const worker = new LaneWorker<DeadLetterJob>(DEAD_LETTERS, fail, laneOptions(context));
  worker.on("error", context.onRedisError);
  return { stop: () => worker.close() };
}
