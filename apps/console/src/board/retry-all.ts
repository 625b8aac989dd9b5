import type { Job, Queue } from "bullmq";
import type { RetryJob } from "@postrider/shared/queue/jobs.ts";
import type { Context } from "../context.ts";
import { retryThroughPostgres, staysOnBoard, type Retried } from "./retry-job.ts";

/** Jobs read from Redis at once. */
const PAGE = 100;
/** As many as the console has connections to Postgres. */
const CONCURRENCY = 5;
/** Ends before a browser or proxy times out. The next click continues where this one stopped. */
const MAX_MS = 20_000;

export interface RetriedAll {
  retried: number;
  /** How many were not retried, by reason. */
  skipped: Record<string, number>;
  /** Failed jobs at the start. */
  total: number;
}

/** Retries every dead letter that a queue shows, oldest first. One that can't be retried does not stop the others. */
export async function retryAllDeadLetters(
  context: Pick<Context, "pool" | "redis" | "queues" | "enqueue">,
  queue: Queue<RetryJob>,
): Promise<RetriedAll> {
  const deadline = performance.now() + MAX_MS;
  const total = await queue.getFailedCount();
  const result: RetriedAll = { retried: 0, skipped: {}, total };
  const skip = (reason: string, count = 1) => (result.skipped[reason] = (result.skipped[reason] ?? 0) + count);
  let seen = 0;
  /** Jobs that stay in the failed set. The next page begins after them. */
  let remaining = 0;
  while (seen < total) {
    if (performance.now() > deadline) {
      skip("not reached in time (press Retry all again)", total - seen);
      break;
    }
    const jobs = await queue.getJobs(["failed"], remaining, remaining + PAGE - 1, true);
    if (jobs.length === 0) break;
    for (const chunk of chunks(jobs, CONCURRENCY)) {
      for (const retried of await Promise.all(chunk.map((job) => retryThroughPostgres(context, job, "dead")))) {
        if (retried.kind === "retrying") result.retried += 1;
        else skip(reasonOf(retried));
        if (staysOnBoard(retried)) remaining += 1;
      }
    }
    seen += jobs.length;
  }
  return result;
}

function reasonOf(retried: Exclude<Retried, { kind: "retrying" }>): string {
  switch (retried.kind) {
    case "not_found":
      return "no longer in Postgres";
    case "changed":
      return `${retried.state} by now`;
    case "delivery_pending":
      return "about to be attempted anyway";
    case "subscription_paused":
      return "of a paused subscription";
    case "subscription_disabled":
      return "of a disabled subscription";
    case "subscription_deleted":
      return "of a deleted subscription";
  }
}

function* chunks(jobs: readonly Job[], size: number): Generator<readonly Job[]> {
  for (let from = 0; from < jobs.length; from += size) yield jobs.slice(from, from + size);
}
