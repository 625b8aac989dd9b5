import type { RequestHandler } from "express";
import type { Context } from "../context.ts";
import { pathId } from "../http/parse-request.ts";
import { callerOf } from "../http/request-locals.ts";
import type { Presenter } from "./present.ts";
import { findSubscription } from "./store.ts";

/** `GET /subscriptions/:id` */
export function readSubscription({ readDb }: Context, present: Presenter): RequestHandler {
  return async (request, response) => {
    const row = await findSubscription(readDb, callerOf(response), pathId(request, "sub"));
    const [presented] = await present([row]);
    response.json(presented);
  };
}
