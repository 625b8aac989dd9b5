import type { RequestHandler } from "express";
import { CLOSED_BREAKER } from "@postrider/shared/core/breaker.ts";
import { toPublicId } from "@postrider/shared/core/ids/id.ts";
import { resetBreaker } from "@postrider/shared/runtime/reset-breaker.ts";
import type { Context } from "../context.ts";
import { answerOnce } from "../http/answer-once.ts";
import { noBody, pathId } from "../http/parse-request.ts";
import { Problem } from "../http/problem.ts";
import { requestLog } from "../http/request-id.ts";
import { callerOf } from "../http/request-locals.ts";
import { createStateReader, presentSubscription } from "./present.ts";
import { findSubscription, updateSubscription, type SubscriptionChange, type SubscriptionRow } from "./store.ts";

/** `POST /subscriptions/:id/pause` */
export const pauseSubscription = (context: Context): RequestHandler =>
  changeStatus(context, { action: "pause", change: unlessDisabled("paused") });

/** `POST /subscriptions/:id/resume` */
export const resumeSubscription = (context: Context): RequestHandler =>
  changeStatus(context, { action: "resume", change: unlessDisabled("active") });

/** `POST /subscriptions/:id/enable` */
export const enableSubscription = (context: Context): RequestHandler =>
  changeStatus(context, {
    action: "enable",
    change: ({ status }) =>
      status === "disabled" ? { status: "active", disabledReason: null, failingSince: null } : {},
    closesBreaker: true,
  });

interface StatusChange {
  action: string;
  change: (row: SubscriptionRow) => SubscriptionChange;
  closesBreaker?: boolean;
}

function changeStatus(context: Context, { action, change, closesBreaker = false }: StatusChange): RequestHandler {
  const { db, log, enqueue } = context;
  const readStates = createStateReader(context);
  return async (request, response) => {
    const id = pathId(request, "sub");
    noBody(request);
    const caller = callerOf(response);
    await answerOnce(context, request, response, {
      name: `${action} ${id}`,
      tenant: async () => (await findSubscription(db, caller, id)).tenant,
      async run(remember) {
        // Read first, because the answer is stored by the transaction, which must not wait for Redis.
        const [state] = await readStates([id]);
        const shown = closesBreaker ? { ...state!, breaker: CLOSED_BREAKER } : state;
        const row = await updateSubscription(db, caller, id, change, {
          after: (connection, changed) =>
            remember(connection, { status: 200, body: presentSubscription(changed, context, shown) }),
        });
        const logged = { subscription: toPublicId("sub", id), status: row.status };
        requestLog(log, response).info(logged, "subscription status");
        if (row.status === "active") await (closesBreaker ? resetBreaker(context, id) : enqueue.wakeRelease(id));
      },
    });
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
