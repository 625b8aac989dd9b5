import { Router } from "express";
import { and, asc, between, desc, eq, gte, lt, type SQL } from "drizzle-orm";
import { z } from "zod";
import { family, firstIdAt, timeOfId } from "@postrider/shared/core/ids/id-range.ts";
import { DELIVERY_STATES } from "@postrider/shared/core/delivery/states.ts";
import type { Db } from "@postrider/shared/store/pool.ts";
import { attempts, deliveries } from "@postrider/shared/store/schema/index.ts";
import { retryDelivery } from "@postrider/shared/runtime/retry-delivery.ts";
import { toPublicId } from "@postrider/shared/core/ids/id.ts";
import type { Caller } from "../http/caller.ts";
import { callerOf } from "../http/request-locals.ts";
import type { Context } from "../context.ts";
import { page, publicId, tenant, time } from "../http/fields.ts";
import { toPage } from "../http/page.ts";
import { pathId, query } from "../http/parse-request.ts";
import { requestLog } from "../http/request-id.ts";
import { Problem } from "../http/problem.ts";
import { isVisibleTo } from "../http/tenancy.ts";

const listQuery = z.strictObject({
  ...page("dlv"),
  tenant: tenant.optional(),
  subscription: publicId("sub").optional(),
  event: publicId("evt").optional(),
  status: z.enum(DELIVERY_STATES, { error: `must be one of ${DELIVERY_STATES.join(", ")}` }).optional(),
  since: time.optional(),
  until: time.optional(),
});

type DeliveryFilter = Pick<z.output<typeof listQuery>, "limit"> & Partial<z.output<typeof listQuery>>;
type DeliveryRow = typeof deliveries.$inferSelect;

/** A worker's clock may be a minute off Postgres's in either direction, and so may ingest's. */
const CLOCK_SLACK_MS = 5 * 60_000;

export function deliveryRoutes(context: Context): Router {
  const { db, log } = context;
  const routes = Router();

  routes.get("/deliveries", async (request, response) => {
    response.json(await listDeliveries(db, callerOf(response), query(request, listQuery)));
  });

  routes.get("/deliveries/:id", async (request, response) => {
    const id = pathId(request, "dlv");
    const [row] = await db
      .select()
      .from(deliveries)
      .where(and(eq(deliveries.id, id), isVisibleTo(callerOf(response), deliveries.tenant)));
    if (!row) throw new Problem("not_found", `there is no delivery ${toPublicId("dlv", id)}`);
    response.json({ ...presentDelivery(row), attempts: await listAttempts(db, id) });
  });

  routes.post("/deliveries/:id/retry", async (request, response) => {
    const id = pathId(request, "dlv");
    const result = await retryDelivery(context, id, callerOf(response).tenant);
    switch (result.kind) {
      case "not_found":
        throw new Problem("not_found", `there is no delivery ${toPublicId("dlv", id)}`);
      case "delivery_pending":
        throw new Problem(
          "delivery_pending",
          "the delivery is in the dispatch lane and will be attempted without this",
        );
      case "subscription_deleted":
        throw new Problem(
          "subscription_deleted",
          "the subscription of this delivery is deleted, so it cannot be delivered",
        );
      case "retrying": {
        requestLog(log, response).info({ delivery: toPublicId("dlv", id), cycle: result.cycle }, "manual retry");
        const [row] = await db.select().from(deliveries).where(eq(deliveries.id, id));
        response.status(202).json(presentDelivery(row!));
      }
    }
  });

  return routes;
}

/** One page of deliveries, newest first, of what the caller may see. */
export async function listDeliveries(db: Db, caller: Caller, filter: DeliveryFilter) {
  const conditions: (SQL | undefined)[] = [isVisibleTo(caller, deliveries.tenant, filter.tenant)];
  if (filter.subscription !== undefined) conditions.push(eq(deliveries.subscriptionId, filter.subscription));
  if (filter.event !== undefined) {
    const { from, to } = family(filter.event);
    conditions.push(between(deliveries.id, from, to), eq(deliveries.eventId, filter.event));
  }
  if (filter.status !== undefined) conditions.push(eq(deliveries.state, filter.status));
  if (filter.cursor !== undefined) conditions.push(lt(deliveries.id, filter.cursor));
  if (filter.since !== undefined) conditions.push(gte(deliveries.id, firstIdAt(filter.since)));
  if (filter.until !== undefined) conditions.push(lt(deliveries.id, firstIdAt(filter.until)));
  const rows = await db
    .select()
    .from(deliveries)
    .where(and(...conditions))
    .orderBy(desc(deliveries.id))
    .limit(filter.limit + 1);
  return toPage(rows, filter.limit, presentDelivery, (row) => toPublicId("dlv", row.id));
}

async function listAttempts(db: Db, deliveryId: string) {
  const rows = await db
    .select()
    .from(attempts)
    .where(
      and(
        eq(attempts.deliveryId, deliveryId),
        // No attempt is older than its delivery, nor from the future: this prunes partitions.
        gte(attempts.id, firstIdAt(timeOfId(deliveryId) - CLOCK_SLACK_MS)),
        lt(attempts.id, firstIdAt(Date.now() + CLOCK_SLACK_MS)),
      ),
    )
    .orderBy(asc(attempts.id));
  return rows.map((row) => ({
    id: toPublicId("att", row.id),
    number: row.number,
    trigger: row.trigger,
    startedAt: row.startedAt.toISOString(),
    durationMs: row.durationMs,
    responseStatus: row.responseStatus,
    responseBody: row.responseBody,
    error: row.error,
  }));
}

const presentDelivery = (row: DeliveryRow) => ({
  id: toPublicId("dlv", row.id),
  event: toPublicId("evt", row.eventId),
  subscription: toPublicId("sub", row.subscriptionId),
  tenant: row.tenant,
  eventType: row.eventType,
  status: row.state,
  heldReason: row.heldReason,
  deadReason: row.deadReason,
  attemptCount: row.attemptCount,
  nextAttemptAt: row.nextAttemptAt?.toISOString() ?? null,
  lastError: row.lastError,
  createdAt: new Date(timeOfId(row.id)).toISOString(),
  settledAt: row.settledAt?.toISOString() ?? null,
});
