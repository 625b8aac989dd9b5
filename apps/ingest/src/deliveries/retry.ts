import type { RequestHandler } from "express";
import { eq } from "drizzle-orm";
import { toPublicId } from "@postrider/shared/core/ids/id.ts";
import { retryDelivery } from "@postrider/shared/runtime/retry-delivery.ts";
import { deliveries } from "@postrider/shared/store/schema/index.ts";
import type { Context } from "../context.ts";
import { pathId } from "../http/parse-request.ts";
import { Problem } from "../http/problem.ts";
import { requestLog } from "../http/request-id.ts";
import { callerOf } from "../http/request-locals.ts";
import { presentDelivery } from "./present.ts";

const REASONS = {
  delivery_pending: "the delivery waits to be sent, or is being sent now, without a retry",
  subscription_paused: "the subscription of this delivery is paused, and a retry would be held: POST …/resume first",
  subscription_disabled:
    "the subscription of this delivery is disabled, and a retry would be held: POST …/enable first",
  subscription_deleted: "the subscription of this delivery is deleted",
};

/** `POST /deliveries/:id/retry` */
export function retryOneDelivery(context: Context): RequestHandler {
  const { db, log } = context;
  return async (request, response) => {
    const id = pathId(request, "dlv");
    const result = await retryDelivery(context, id, callerOf(response).tenant);
    switch (result.kind) {
      case "not_found":
        throw new Problem("not_found", `there is no delivery ${toPublicId("dlv", id)}`);
      case "delivery_pending":
      case "subscription_paused":
      case "subscription_disabled":
      case "subscription_deleted":
        throw new Problem(result.kind, REASONS[result.kind]);
      case "retrying": {
        requestLog(log, response).info(
          { delivery: toPublicId("dlv", id), cycle: result.cycle },
          "scheduled a manual retry",
        );
        const [row] = await db.select().from(deliveries).where(eq(deliveries.id, id));
        response.status(202).json(presentDelivery(row!));
      }
    }
  };
}
