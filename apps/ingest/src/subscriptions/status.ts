import type { RequestHandler } from "express";
import { z } from "zod";
import { toPublicId } from "@postrider/shared/core/ids/id.ts";
import { resetBreaker } from "@postrider/shared/runtime/reset-breaker.ts";
import type { Context } from "../context.ts";
import { body, pathId } from "../http/parse-request.ts";
import { Problem } from "../http/problem.ts";
import { requestLog } from "../http/request-id.ts";
import { callerOf } from "../http/request-locals.ts";
import type { Presenter } from "./present.ts";
import { updateSubscription, type SubscriptionChange, type SubscriptionRow } from "./store.ts";

/** `POST /subscriptions/:id/pause` */
export const pauseSubscription = (context: Context, present: Presenter): RequestHandler =>
  changeStatus(context, present, unlessDisabled("paused"), wakeRelease(context));

/** `POST /subscriptions/:id/resume` */
export const resumeSubscription = (context: Context, present: Presenter): RequestHandler =>
  changeStatus(context, present, unlessDisabled("active"), wakeRelease(context));

/** `POST /subscriptions/:id/enable` */
export const enableSubscription = (context: Context, present: Presenter): RequestHandler =>
  changeStatus(
    context,
    present,
    ({ status }) => (status === "disabled" ? { status: "active", disabledReason: null, failingSince: null } : {}),
    (id) => resetBreaker(context, id),
  );

/** @param whenActive called with the subscription's id where the change leaves it active */
function changeStatus(
  { db, log }: Context,
  present: Presenter,
  change: (row: SubscriptionRow) => SubscriptionChange,
  whenActive: (id: string) => Promise<void>,
): RequestHandler {
  return async (request, response) => {
    const id = pathId(request, "sub");
    body(request, z.strictObject({}));
    const row = await updateSubscription(db, callerOf(response), id, change);
    requestLog(log, response).info({ subscription: toPublicId("sub", id), status: row.status }, "subscription status");
    if (row.status === "active") await whenActive(id);
    const [presented] = await present([row]);
    response.json(presented);
  };
}

/** @throws Problem subscription_disabled */
const unlessDisabled =
  (status: "active" | "paused") =>
  (row: SubscriptionRow): SubscriptionChange => {
    if (row.status !== "disabled") return { status };
    throw new Problem(
      "subscription_disabled",
      `the subscription is disabled (${row.disabledReason}): POST …/enable first`,
    );
  };

const wakeRelease =
  ({ enqueue }: Context) =>
  async (id: string): Promise<void> =>
    void (await enqueue.wakeRelease(id));
