import type { RequestHandler } from "express";
import { resetBreaker } from "@postrider/shared/runtime/reset-breaker.ts";
import type { Context } from "../context.ts";
import { body, pathId } from "../http/parse-request.ts";
import { callerOf } from "../http/request-locals.ts";
import { checkAddress } from "./check-address.ts";
import { subscriptionChange, subscriptionChangeShape } from "./input.ts";
import type { Presenter } from "./present.ts";
import { updateSubscription, findSubscription, type SubscriptionChange } from "./store.ts";
import { keepMasked } from "./stored-headers.ts";
import { now } from "@postrider/shared/runtime/clock.ts";

/** The answers of the old URL say nothing about the new one. */
const NO_HEALTH = { failingSince: null, lastSuccessAt: null, lastFailureAt: null, lastError: null };

/** `PATCH /subscriptions/:id` */
export function patchSubscription(context: Context, present: Presenter): RequestHandler {
  const { db, secretBox, headerStore } = context;
  return async (request, response) => {
    const id = pathId(request, "sub");
    const change = body(request, subscriptionChange, subscriptionChangeShape);
    const caller = callerOf(response);
    if (change.url !== undefined) {
      const { tenant } = await findSubscription(db, caller, id);
      await checkAddress(context, response, { url: change.url, tenant });
    }
    const { headers: given, ...others } = change;
    const toStored = await headerStore();
    let isMoved = false;
    const row = await updateSubscription(db, caller, id, ({ url, headers }) => {
      isMoved = change.url !== undefined && change.url !== URL.parse(url)?.href;
      return {
        ...others,
        ...(given ? { headers: toStored(id, keepMasked(secretBox, id, given, headers)) } : {}),
        ...(isMoved ? NO_HEALTH : {}),
      } as SubscriptionChange;
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
