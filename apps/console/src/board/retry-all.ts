import type { Job } from "bullmq";
import type { Context } from "../context.ts";
import { retryThroughPostgres, type Retried } from "./retry-job.ts";

/** Jobs read from Redis at once. */
const PAGE = 100;
/** As many as there are connections to Postgres. */
const SIDE_BY_SIDE = 5;
/** One request must end before the browser or a proxy gives up on it; the next click goes on where this one stopped. */
const LONGEST_MS = 20_000;

export interface RetriedAll {
  retried: number;
  /** How many were left, by the reason that a person reads. */
  left: Record<string, number>;
  /** How many failed jobs there were at the start. */
  inAll: number;
}

/** Retries every dead letter on the board, oldest first, each by itself: one that cannot be retried stops no other. */
export async function retryAllDeadLetters(context: Pick<Context, "pool" | "queues" | "enqueue">): Promise<RetriedAll> {
  const deadline = performance.now() + LONGEST_MS;
  const inAll = await context.queues.retry.getFailedCount();
  const result: RetriedAll = { retried: 0, left: {}, inAll };
  const leave = (reason: string, count = 1) => (result.left[reason] = (result.left[reason] ?? 0) + count);
  let seen = 0;
  /** Those that stay in the failed set, which the next page begins after. */
  let staying = 0;
  while (seen < inAll) {
    if (performance.now() > deadline) {
      leave("not reached in time (press Retry all again)", inAll - seen);
      break;
    }
    const jobs = await context.queues.retry.getJobs(["failed"], staying, staying + PAGE - 1, true);
    if (jobs.length === 0) break;
    for (const some of chunks(jobs, SIDE_BY_SIDE)) {
      for (const retried of await Promise.all(some.map((job) => retryThroughPostgres(context, job, "dead")))) {
        if (retried.kind === "retrying") result.retried += 1;
        else leave(reasonOf(retried));
        if (retried.kind === "subscription_deleted" || retried.kind === "delivery_pending") staying += 1;
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
    case "subscription_deleted":
      return "of a deleted subscription";
  }
}

function* chunks(jobs: readonly Job[], size: number): Generator<readonly Job[]> {
  for (let from = 0; from < jobs.length; from += size) yield jobs.slice(from, from + size);
}
