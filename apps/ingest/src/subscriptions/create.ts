import type { RequestHandler } from "express";
import { formatSecret } from "@postrider/shared/core/signing.ts";
import { toPublicId } from "@postrider/shared/core/ids/id.ts";
import type { Context } from "../context.ts";
import { body } from "../http/parse-request.ts";
import { callerOf } from "../http/request-locals.ts";
import { tenantFor } from "../http/tenancy.ts";
import { checkAddress } from "./check-address.ts";
import { newSubscription, parseSubscription } from "./input.ts";
import type { Presenter } from "./present.ts";
import { newSecret } from "./secrets.ts";
import { insertSubscription } from "./store.ts";

const DEFAULT_MAX_IN_FLIGHT = 32;

/** `POST /subscriptions` */
export function createSubscription({ db, secretBox, settings, resolver }: Context, present: Presenter): RequestHandler {
  return async (request, response) => {
    const input = body(request, newSubscription, parseSubscription);
    const tenant = tenantFor(callerOf(response), input.tenant);
    await checkAddress(resolver, { url: input.url, tenant }, settings.allowedNetworks);
    const secret = input.secret ?? newSecret();
    const row = await insertSubscription(db, secretBox, secret, {
      tenant,
      url: input.url,
      eventTypes: input.eventTypes ?? ["*"],
      description: input.description ?? null,
      headers: input.headers ?? {},
      rateLimit: input.rateLimit ?? null,
      maxInFlight: input.maxInFlight ?? DEFAULT_MAX_IN_FLIGHT,
      timeoutMs: input.timeoutMs ?? null,
      retrySchedule: input.retrySchedule ?? null,
      metadata: input.metadata ?? {},
    });
    const [presented] = await present([row]);
    response
      .status(201)
      .location(`/v1/subscriptions/${toPublicId("sub", row.id)}`)
      .json({ ...presented, secret: formatSecret(secret) });
  };
}
