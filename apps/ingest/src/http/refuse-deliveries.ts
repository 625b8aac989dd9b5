import type { RequestHandler } from "express";
import { Problem } from "./problem.ts";

/**
 * Refuses a delivery that is aimed at the API itself, with all calls that change anything. Subscriptions whose URLs are
 * calls of the API, such as each other's retries, would send requests for ever.
 *
 * Every delivery has both headers, and a subscription cannot change them. One of them is enough, because a proxy may
 * drop the other.
 */
export const refuseDeliveries: RequestHandler = ({ method, headers }, _response, next) => {
  const isDelivery = headers["webhook-id"] !== undefined || /^Postrider\//i.test(headers["user-agent"] ?? "");
  if (isDelivery && method !== "GET" && method !== "HEAD") {
    throw new Problem("loop_detected", "this request is a delivery of Postrider, and those may not call its API");
  }
  next();
};
