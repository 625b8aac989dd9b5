import { Router } from "express";
import { and, desc, eq, gte, lt, type SQL } from "drizzle-orm";
import { z } from "zod";
import { firstIdAt, timeOfId } from "@postrider/shared/core/ids/id-range.ts";
import { events } from "@postrider/shared/store/schema/index.ts";
import { toPublicId } from "@postrider/shared/core/ids/id.ts";
import { MAX_PAYLOAD_BYTES, type Accepted } from "./accept.ts";
import type { Caller } from "../http/caller.ts";
import { callerOf } from "../http/request-locals.ts";
import type { Context } from "../context.ts";
import type { NewEvent } from "./insert.ts";
import { eventType, page, tenant, text, time } from "../http/fields.ts";
import { EventData, parseBatch, parseEvent } from "./event-data.ts";
import { toPage } from "../http/page.ts";
import { bodyAsSent, pathId, query } from "../http/parse-request.ts";
import { rawBody } from "../http/request-body.ts";
import { logAccepted } from "./log-accepted.ts";
import { invalid, Problem } from "../http/problem.ts";
import { isVisibleTo, tenantFor } from "../http/tenancy.ts";
import { listDeliveries } from "../deliveries/routes.ts";

const MAX_BATCH = 1_000;
const MAX_BATCH_BYTES = 10 * 1024 * 1024;
/** Room for type, tenant and white space around a payload of the full size. */
const ENVELOPE_BYTES = 16 * 1024;
/** Lists and objects inside of each other: more than this many receivers' parsers refuse, or worse. */
const MAX_DEPTH = 1_000;

const idempotencyKey = text(1, 255);

const newEvent = z.strictObject({
  type: eventType,
  data: z.custom<EventData>((data) => data instanceof EventData, "is required"),
  tenant: tenant.optional(),
});

const newBatch = z.strictObject({
  events: z
    .array(newEvent.extend({ idempotencyKey: idempotencyKey.optional() }), { error: "must be a list of events" })
    .min(1, "must have at least one event")
    .max(MAX_BATCH, `must have at most ${MAX_BATCH} events`),
});

const listQuery = z.strictObject({
  ...page("evt"),
  tenant: tenant.optional(),
  type: eventType.optional(),
  since: time.optional(),
  until: time.optional(),
});

export function eventRoutes(context: Context): Router {
  const { acceptor, db, log, metrics } = context;
  const routes = Router();

  routes.post("/events", rawBody(MAX_PAYLOAD_BYTES + ENVELOPE_BYTES), async (request, response) => {
    const input = bodyAsSent(request, parseEvent, newEvent);
    const key = keyFromHeader(request.get("idempotency-key"));
    const event = toNewEvent(input, key, callerOf(response), "");
    const accepted = await acceptor.accept([event]);
    logAccepted(log, response, accepted);
    response.status(202).json(present(event, accepted[0]!));
  });

  routes.post("/events/batch", rawBody(MAX_BATCH_BYTES), async (request, response) => {
    const input = bodyAsSent(request, parseBatch, newBatch);
    const caller = callerOf(response);
    const batch = input.events.map((event, index) =>
      toNewEvent(event, event.idempotencyKey, caller, `events.${index}.`),
    );
    const accepted = await acceptor.accept(batch);
    logAccepted(log, response, accepted);
    response.status(202).json({ data: batch.map((event, index) => present(event, accepted[index]!)) });
  });

  routes.get("/events", async (request, response) => {
    const filter = query(request, listQuery);
    const conditions: (SQL | undefined)[] = [isVisibleTo(callerOf(response), events.tenant, filter.tenant)];
    if (filter.type !== undefined) conditions.push(eq(events.type, filter.type));
    if (filter.cursor !== undefined) conditions.push(lt(events.id, filter.cursor));
    if (filter.since !== undefined) conditions.push(gte(events.id, firstIdAt(filter.since)));
    if (filter.until !== undefined) conditions.push(lt(events.id, firstIdAt(filter.until)));
    const rows = await db
      .select({ id: events.id, type: events.type, tenant: events.tenant, deliveries: events.deliveryCount })
      .from(events)
      .where(and(...conditions))
      .orderBy(desc(events.id))
      .limit(filter.limit + 1);
    response.json(toPage(rows, filter.limit, presentRow, (row) => toPublicId("evt", row.id)));
  });

  routes.get("/events/:id", async (request, response) => {
    const id = pathId(request, "evt");
    const [row] = await db
      .select()
      .from(events)
      .where(and(eq(events.id, id), isVisibleTo(callerOf(response), events.tenant)));
    if (!row) throw new Problem("not_found", `there is no event ${toPublicId("evt", id)}`);
    const summary = JSON.stringify(presentRow({ ...row, deliveries: row.deliveryCount }));
    // The data goes out as it is stored: parsing it would lose digits of numbers that a double cannot hold.
    response.type("application/json").send(`${summary.slice(0, -1)},"data":${dataOf(row.body)}}`);
  });

  routes.get("/events/:id/deliveries", async (request, response) => {
    const id = pathId(request, "evt");
    const caller = callerOf(response);
    const [row] = await db
      .select({ id: events.id })
      .from(events)
      .where(and(eq(events.id, id), isVisibleTo(caller, events.tenant)));
    if (!row) throw new Problem("not_found", `there is no event ${toPublicId("evt", id)}`);
    response.json(await listDeliveries(db, caller, { ...query(request, z.strictObject(page("dlv"))), event: id }));
  });

  function present(event: NewEvent, accepted: Accepted) {
    if (accepted.kind === "conflict") {
      throw new Problem(
        "idempotency_conflict",
        "this idempotency key was used with another type or data in the last 24 hours",
      );
    }
    const { id, deliveries, duplicate } = accepted;
    metrics.accepted.inc({ result: duplicate ? "duplicate" : "new" });
    if (!duplicate) metrics.deliveriesMade.inc(deliveries);
    return { ...presentRow({ id, type: event.type, tenant: event.tenant, deliveries }), duplicate };
  }

  return routes;
}

function keyFromHeader(header: string | undefined): string | undefined {
  if (header === undefined) return undefined;
  const parsed = idempotencyKey.safeParse(header);
  if (!parsed.success) throw invalid({ field: "Idempotency-Key", message: "must have 1 to 255 characters" });
  return parsed.data;
}

function toNewEvent(
  input: z.output<typeof newEvent>,
  key: string | undefined,
  caller: Caller,
  prefix: string,
): NewEvent {
  const { json: data, depth } = input.data;
  const tenant = tenantFor(caller, input.tenant, prefix);
  if (depth > MAX_DEPTH) {
    throw invalid({ field: `${prefix}data`, message: `is nested too deeply: at most ${MAX_DEPTH} levels` });
  }
  if (data.length > MAX_PAYLOAD_BYTES) {
    throw new Problem("payload_too_large", `${prefix}data is larger than ${MAX_PAYLOAD_BYTES / 1024} KiB`);
  }
  return {
    tenant,
    type: input.type,
    data,
    idempotencyKey: key,
  };
}

const presentRow = (row: { id: string; type: string; tenant: string; deliveries: number }) => ({
  id: toPublicId("evt", row.id),
  type: row.type,
  tenant: row.tenant,
  createdAt: new Date(timeOfId(row.id)).toISOString(),
  deliveries: row.deliveries,
});

/** The `data` in a delivered body, verbatim. The body is ours (accept-event.ts): `data` is its last member. */
function dataOf(deliveredBody: string): string {
  const marker = '","data":';
  // Type names and timestamps have no quotes, so the first marker is the member and not something inside of the data.
  return deliveredBody.slice(deliveredBody.indexOf(marker) + marker.length, -1);
}
