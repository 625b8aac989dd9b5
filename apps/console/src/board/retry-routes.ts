import { Router, type Request, type Response } from "express";
import type { Job, Queue } from "bullmq";
import { toPublicId } from "@postrider/shared/core/ids/id.ts";
import type { RetryJob } from "@postrider/shared/queue/jobs.ts";
import { DEAD_LETTERS } from "@postrider/shared/queue/queues.ts";
import { USER } from "../access/password.ts";
import type { Context } from "../context.ts";
import { boardError } from "../pages/errors.ts";
import { retryAllDeadLetters } from "./retry-all.ts";
import { retryThroughPostgres, type Retried } from "./retry-job.ts";

/**
 * Replaces Bull Board's own routes for the queues that show dead letters. A retry is a new cycle of the delivery in Postgres; a job
 * that BullMQ moved back by itself would belong to the previous cycle.
 */
export function retryRoutes(context: Context): Router {
  const { queues, log } = context;
  const routes = Router();

  const boards: [string, Queue<RetryJob>][] = [
    ["retry", queues.retry],
    [DEAD_LETTERS, queues.deadLetters as Queue],
  ];
  for (const [name, queue] of boards) {
    routes.put(`/api/queues/${name}/:jobId/retry`, async (request, response) => {
      await retryOne(queue, request.params.jobId, "failed", response);
    });
    routes.put(`/api/queues/${name}/retry/failed`, (request, response) => retryAll(queue, request, response));
  }

  /** Makes a waiting delivery due now. */
  routes.put("/api/queues/retry/:jobId/promote", async (request, response) => {
    await retryOne(queues.retry, request.params.jobId, "delayed", response);
  });

  async function retryAll(queue: Queue<RetryJob>, request: Request, response: Response): Promise<void> {
    const { retried, skipped, total } = await retryAllDeadLetters(context, queue);
    log.info({ user: USER, address: request.ip, retried, skipped }, "retried dead letters");
    const skippedTotal = total - retried;
    if (skippedTotal <= 0) return void response.json({ retried, skipped: 0 });
    const reasons = Object.entries(skipped).map(([reason, count]) => `${count} ${reason}`);
    const message = `Not retried: ${reasons.join(", ")}.`;
    response
      .status(409)
      .json({ ...boardError(`${retried} retried, ${skippedTotal} not`, message), retried, skipped: skippedTotal });
  }

  async function retryOne(
    queue: Queue<RetryJob>,
    jobId: string,
    from: "failed" | "delayed",
    response: Response,
  ): Promise<void> {
    const job: Job<RetryJob> | undefined = await queue.getJob(jobId);
    if (!job) return void response.status(404).json(boardError("Job not found", "It was retried or has ended."));
    const jobState = await job.getState();
    if (jobState !== from) {
      return void response.status(409).json(boardError("Nothing to retry", `The job is now ${jobState}, not ${from}.`));
    }
    const retried = await retryThroughPostgres(context, job, from === "failed" ? "dead" : "retrying");
    log.info({ user: USER, address: response.req.ip, delivery: publicDelivery(job), ...retried }, "retried a delivery");
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
      return "The delivery is no longer in Postgres. The stale job was removed from the board.";
    case "changed":
      return `The delivery is ${retried.state} by now. The stale job was removed from the board.`;
    case "delivery_pending":
      return "The delivery waits to be sent, or is being sent now, without a retry.";
    case "subscription_paused":
      return "The delivery's subscription is paused: POST /v1/subscriptions/{id}/resume first.";
    case "subscription_disabled":
      return "The delivery's subscription is disabled: POST /v1/subscriptions/{id}/enable first.";
    case "subscription_deleted":
      return "The delivery's subscription is deleted.";
  }
}
