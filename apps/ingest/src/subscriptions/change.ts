import type { RequestHandler } from "express";
import { resetBreaker } from "@postrider/shared/runtime/reset-breaker.ts";
import type { Context } from "../context.ts";
import { body, pathId } from "../http/parse-request.ts";
import { callerOf } from "../http/request-locals.ts";
import { checkAddress } from "./check-address.ts";
import { subscriptionChange, subscriptionChangeShape } from "./input.ts";
import type { Presenter } from "./present.ts";
import { updateSubscription, findSubscription, type SubscriptionChange } from "./store.ts";
import { now } from "@postrider/shared/runtime/clock.ts";

/** The answers of the old URL say nothing about the new one. */
const NO_HEALTH = { failingSince: null, lastSuccessAt: null, lastFailureAt: null, lastError: null };

/** `PATCH /subscriptions/:id` */
export function patchSubscription(context: Context, present: Presenter): RequestHandler {
  const { db, settings, resolver } = context;
  return async (request, response) => {
    const id = pathId(request, "sub");
    const change = body(request, subscriptionChange, subscriptionChangeShape);
    const caller = callerOf(response);
    if (change.url !== undefined) {
      const { tenant } = await findSubscription(db, caller, id);
      await checkAddress(resolver, { url: change.url, tenant }, settings);
    }
    let isMoved = false;
    const row = await updateSubscription(db, caller, id, ({ url }) => {
      isMoved = change.url !== undefined && change.url !== url;
      return { ...change, ...(isMoved ? NO_HEALTH : {}) } as SubscriptionChange;
    });
    if (isMoved) await resetBreaker(context, id);
    const [presented] = await present([row]);
    response.json(presented);
  };
}

/** `DELETE /subscriptions/:id` */
export function deleteSubscription(context: Context): RequestHandler {
  return async (request, response) => {
    const id = pathId(request, "sub");
    await updateSubscription(context.db, callerOf(response), id, () => ({ deletedAt: new Date(now()) }));
    // The release job that this wakes cancels the unfinished deliveries.
    await resetBreaker(context, id);
    response.status(204).end();
  };
}
