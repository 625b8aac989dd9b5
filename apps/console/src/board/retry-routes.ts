import { Router, type Response } from "express";
import type { Job } from "bullmq";
import { toPublicId } from "@postrider/shared/core/ids/id.ts";
import type { RetryJob } from "@postrider/shared/queue/jobs.ts";
import { USER } from "../access/password.ts";
import type { Context } from "../context.ts";
import { boardError } from "../errors.ts";
import { retryAllDeadLetters } from "./retry-all.ts";
import { retryThroughPostgres, type Retried } from "./retry-job.ts";

/**
 * Takes the place of Bull Board's own routes for the queue `retry`: a retry is a new cycle of the delivery in Postgres,
 * and a job that BullMQ moved back by itself would belong to a cycle that is over.
 */
export function retryRoutes(context: Context): Router {
  const { queues, log } = context;
  const routes = Router();

  routes.put("/api/queues/retry/:jobId/retry", async (request, response) => {
    await retryOne(request.params.jobId, "failed", response);
  });

  /** A delivery that waits for its next attempt is due now. */
  routes.put("/api/queues/retry/:jobId/promote", async (request, response) => {
    await retryOne(request.params.jobId, "delayed", response);
  });

  routes.put("/api/queues/retry/retry/failed", async (request, response) => {
    const { retried, left, inAll } = await retryAllDeadLetters(context);
    log.info({ user: USER, address: request.ip, retried, left }, "dead letters retried");
    const leftInAll = inAll - retried;
    if (leftInAll <= 0) return void response.json({ retried, skipped: 0 });
    const reasons = Object.entries(left).map(([reason, count]) => `${count} ${reason}`);
    const message = `Not retried: ${reasons.join(", ")}.`;
    response
      .status(409)
      .json({ ...boardError(`${retried} retried, ${leftInAll} not`, message), retried, skipped: leftInAll });
  });

  async function retryOne(jobId: string, from: "failed" | "delayed", response: Response): Promise<void> {
    const job: Job<RetryJob> | undefined = await queues.retry.getJob(jobId);
    if (!job)
      return void response.status(404).json(boardError("Job not found", "It has been retried or has ended since."));
    const jobState = await job.getState();
    if (jobState !== from) {
      return void response
        .status(409)
        .json(boardError("Nothing to retry", `The job is ${jobState} by now, not ${from}.`));
    }
    const retried = await retryThroughPostgres(context, job, from === "failed" ? "dead" : "retrying");
    log.info({ user: USER, address: response.req.ip, delivery: publicDelivery(job), ...retried }, "delivery retried");
    if (retried.kind === "retrying") return void response.status(204).end();
    response.status(409).json(boardError("Not retried", sentence(retried)));
  }

  return routes;
}

const publicDelivery = (job: Job<RetryJob>): string => {
  try {
    return toPublicId("dlv", job.data.delivery);
  } catch {
    return "none";
  }
};

function sentence(retried: Exclude<Retried, { kind: "retrying" }>): string {
  switch (retried.kind) {
    case "not_found":
      return "There is no such delivery in Postgres any more; the leftover job was taken off the board.";
    case "changed":
      return `The delivery is ${retried.state} by now; the leftover job was taken off the board.`;
    case "delivery_pending":
      return "The delivery is in the dispatch lane and will be attempted without this.";
    case "subscription_deleted":
      return "The delivery's subscription is deleted.";
  }
}
