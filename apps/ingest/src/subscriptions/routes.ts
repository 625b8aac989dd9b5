import { randomBytes } from "node:crypto";
import { Router } from "express";
import { and, desc, eq, isNull, lt, type SQL } from "drizzle-orm";
import { z } from "zod";
import { formatSecret } from "@postrider/shared/core/signing.ts";
import { SUBSCRIPTION_STATUSES } from "@postrider/shared/core/delivery/states.ts";
import { subscriptions } from "@postrider/shared/store/schema/index.ts";
import { toPublicId } from "@postrider/shared/core/ids/id.ts";
import { callerOf } from "../http/request-locals.ts";
import { checkAddress } from "./check-address.ts";
import type { Context } from "../context.ts";
import { page, tenant } from "../http/fields.ts";
import { toPage } from "../http/page.ts";
import { body, pathId, query } from "../http/parse-request.ts";
import { rawBody } from "../http/request-body.ts";
import { requestLog } from "../http/request-id.ts";
import { newSubscription, rotation, subscriptionChange } from "./input.ts";
import { createPresenter } from "./present.ts";
import { Problem } from "../http/problem.ts";
import {
  changeSubscription,
  findSubscription,
  insertSubscription,
  rotateSecrets,
  type SubscriptionChange,
  type SubscriptionRow,
} from "./store.ts";
import { isVisibleTo, tenantFor } from "../http/tenancy.ts";

const MAX_BODY_BYTES = 128 * 1024;
const DEFAULT_MAX_IN_FLIGHT = 32;
const NEW_SECRET_BYTES = 32;

const listQuery = z.strictObject({
  ...page("sub"),
  tenant: tenant.optional(),
  status: z.enum(SUBSCRIPTION_STATUSES, { error: `must be one of ${SUBSCRIPTION_STATUSES.join(", ")}` }).optional(),
});

export function subscriptionRoutes(context: Context): Router {
  const { db, breakers, secretBox, settings, enqueue, log } = context;
  const present = createPresenter(context);
  const routes = Router();

  routes.post("/subscriptions", rawBody(MAX_BODY_BYTES), async (request, response) => {
    const input = body(request, newSubscription);
    const tenant = tenantFor(callerOf(response), input.tenant);
    await checkAddress(input.url, settings.allowedNetworks);
    const secret = input.secret ?? randomBytes(NEW_SECRET_BYTES);
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
    const [shown] = await present([row]);
    response
      .status(201)
      .location(`/v1/subscriptions/${toPublicId("sub", row.id)}`)
      .json({ ...shown, secret: formatSecret(secret) });
  });

  routes.get("/subscriptions", async (request, response) => {
    const filter = query(request, listQuery);
    const conditions: (SQL | undefined)[] = [
      isNull(subscriptions.deletedAt),
      isVisibleTo(callerOf(response), subscriptions.tenant, filter.tenant),
    ];
    if (filter.status !== undefined) conditions.push(eq(subscriptions.status, filter.status));
    if (filter.cursor !== undefined) conditions.push(lt(subscriptions.id, filter.cursor));
    const rows = await db
      .select()
      .from(subscriptions)
      .where(and(...conditions))
      .orderBy(desc(subscriptions.id))
      .limit(filter.limit + 1);
    const { data, nextCursor } = toPage(
      rows,
      filter.limit,
      (row) => row,
      (row) => toPublicId("sub", row.id),
    );
    response.json({ data: await present(data), nextCursor });
  });

  routes.get("/subscriptions/:id", async (request, response) => {
    const row = await findSubscription(db, callerOf(response), pathId(request, "sub"));
    const [shown] = await present([row]);
    response.json(shown);
  });

  routes.patch("/subscriptions/:id", rawBody(MAX_BODY_BYTES), async (request, response) => {
    const id = pathId(request, "sub");
    const change = body(request, subscriptionChange);
    if (change.url !== undefined) {
      await findSubscription(db, callerOf(response), id);
      await checkAddress(change.url, settings.allowedNetworks);
    }
    const row = await changeSubscription(
      db,
      callerOf(response),
      id,
      // What failed was the old address.
      () => ({ ...change, ...(change.url === undefined ? {} : { failingSince: null }) }) as SubscriptionChange,
    );
    if (change.url !== undefined) await closeBreaker(row);
    const [shown] = await present([row]);
    response.json(shown);
  });

  routes.delete("/subscriptions/:id", async (request, response) => {
    const row = await changeSubscription(db, callerOf(response), pathId(request, "sub"), () => ({
      deletedAt: new Date(),
    }));
    // The release job of a deleted subscription cancels what is unfinished; its breaker is nobody's any more.
    await closeBreaker(row);
    response.status(204).end();
  });

  routes.get("/subscriptions/:id/secret", async (request, response) => {
    const row = await findSubscription(db, callerOf(response), pathId(request, "sub"));
    response.json({ secret: formatSecret(secretBox.open(row.secrets[0]!, row.id)) });
  });

  routes.post("/subscriptions/:id/secret/rotate", rawBody(MAX_BODY_BYTES), async (request, response) => {
    const id = pathId(request, "sub");
    const input = body(request, rotation);
    const secret = input.secret ?? randomBytes(NEW_SECRET_BYTES);
    const row = await changeSubscription(db, callerOf(response), id, ({ secrets }) => ({
      secrets: rotateSecrets(secrets, secretBox.seal(secret, id), input.graceSeconds, Date.now()),
    }));
    requestLog(log, response).info(
      { subscription: toPublicId("sub", id), live: row.secrets.length },
      "signing secret rotated",
    );
    response.json({ secret: formatSecret(secret), previousExpiresAt: row.secrets[1]?.expiresAt ?? null });
  });

  routes.post("/subscriptions/:id/pause", rawBody(MAX_BODY_BYTES), changeStatus(refuseDisabled("paused")));
  routes.post("/subscriptions/:id/resume", rawBody(MAX_BODY_BYTES), changeStatus(refuseDisabled("active")));
  routes.post(
    "/subscriptions/:id/enable",
    rawBody(MAX_BODY_BYTES),
    changeStatus(
      ({ status }) => (status === "disabled" ? { status: "active", disabledReason: null, failingSince: null } : {}),
      closeBreaker,
    ),
  );

  function changeStatus(
    change: (row: SubscriptionRow) => SubscriptionChange,
    then: (row: SubscriptionRow) => Promise<void> = async (row) => void (await enqueue.wakeRelease(row.id)),
  ) {
    return async (request: Parameters<typeof pathId>[0], response: Parameters<typeof callerOf>[0]) => {
      const id = pathId(request, "sub");
      body(request, z.strictObject({}));
      const row = await changeSubscription(db, callerOf(response), id, change);
      requestLog(log, response).info(
        { subscription: toPublicId("sub", row.id), status: row.status },
        "subscription status",
      );
      if (row.status === "active") await then(row);
      const [shown] = await present([row]);
      response.json(shown);
    };
  }

  /** Closes the breaker on a person's word, and what is held goes on at once. While Redis is away there is no breaker to close. */
  async function closeBreaker(row: SubscriptionRow): Promise<void> {
    await breakers.apply(row.id, { kind: "reset" }).catch(() => undefined);
    void enqueue.wakeRelease(row.id);
  }

  return routes;
}

function refuseDisabled(status: "active" | "paused") {
  return (row: SubscriptionRow): SubscriptionChange => {
    if (row.status === "disabled") {
      throw new Problem(
        "subscription_disabled",
        `the subscription is disabled (${row.disabledReason}): POST …/enable first`,
      );
    }
    return { status };
  };
}
