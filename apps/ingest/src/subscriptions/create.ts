import type { RequestHandler } from "express";
import { formatSecret } from "@postrider/shared/core/signing.ts";
import { toPublicId } from "@postrider/shared/core/ids/id.ts";
import type { Context } from "../context.ts";
import { answerOnce } from "../http/answer-once.ts";
import { body } from "../http/parse-request.ts";
import { callerOf } from "../http/request-locals.ts";
import { tenantFor } from "../http/tenancy.ts";
import { checkAddress } from "./check-address.ts";
import { newSubscription, newSubscriptionShape } from "./input.ts";
import { presentSubscription } from "./present.ts";
import { newSecret } from "./secrets.ts";
import { insertSubscription } from "./store.ts";
import { keepMasked } from "./stored-headers.ts";

const DEFAULT_MAX_IN_FLIGHT = 32;

/** `POST /subscriptions` */
export function createSubscription(context: Context): RequestHandler {
  const { db, secretBox, subscriptionQuota, headerStore } = context;
  return async (request, response) => {
    const input = body(request, newSubscription, newSubscriptionShape);
    const tenant = tenantFor(callerOf(response), input.tenant);
    const values = {
      tenant,
      url: input.url,
      eventTypes: input.eventTypes ?? ["*"],
      description: input.description ?? null,
      headers: keepMasked(secretBox, "", input.headers ?? {}),
      rateLimit: input.rateLimit ?? null,
      maxInFlight: input.maxInFlight ?? DEFAULT_MAX_IN_FLIGHT,
      timeoutMs: input.timeoutMs ?? null,
      retrySchedule: input.retrySchedule ?? null,
      metadata: input.metadata ?? {},
    };
    await answerOnce(context, request, response, {
      name: "subscriptions",
      tenant: () => tenant,
      async run(remember) {
        await checkAddress(context, response, { url: input.url, tenant });
        const secret = input.secret ?? newSecret();
        const toStored = await headerStore();
        await subscriptionQuota.add(tenant, (checkQuota) =>
          insertSubscription(db, secretBox, secret, values, {
            toStored,
            before: checkQuota,
            after: (connection, row) =>
              remember(connection, {
                status: 201,
                location: `/v1/subscriptions/${toPublicId("sub", row.id)}`,
                body: { ...presentSubscription(row, context), secret: formatSecret(secret) },
              }),
          }),
        );
      },
    });
  };
}
