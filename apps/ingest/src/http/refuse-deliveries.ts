import type { RequestHandler } from "express";
import { fromPublicId } from "@postrider/shared/core/ids/id.ts";
import { Problem } from "./problem.ts";

/**
 * Refuses a delivery that is aimed at the API itself, with all calls that change anything. Subscriptions whose URLs are
 * calls of the API, such as each other's retries, would send requests for ever.
 *
 * Every delivery has both headers, and a subscription cannot change them. One of them is enough, because a proxy may
 * drop the other. A `webhook-id` that is not ours is another sender's, whose webhook the caller forwards.
 */
export const refuseDeliveries: RequestHandler = ({ method, headers }, _response, next) => {
  const webhookId = headers["webhook-id"];
  const isOurs = typeof webhookId === "string" && fromPublicId("evt", webhookId) !== undefined;
  const isDelivery = isOurs || /^Postrider\//i.test(headers["user-agent"] ?? "");
  if (isDelivery && method !== "GET" && method !== "HEAD") {
    throw new Problem("loop_detected", "this request is a delivery of Postrider, and those may not call its API");
  }
  next();
};
