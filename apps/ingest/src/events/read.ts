import type { RequestHandler } from "express";
import { and, eq } from "drizzle-orm";
import { dataOf } from "@postrider/shared/core/event/body.ts";
import { toPublicId } from "@postrider/shared/core/ids/id.ts";
import { events, expansions } from "@postrider/shared/store/schema/index.ts";
import type { Context } from "../context.ts";
import { eventDeliveryFilter } from "../deliveries/input.ts";
import { listDeliveries } from "../deliveries/list.ts";
import type { Caller } from "../http/caller.ts";
import { pathId, query } from "../http/parse-request.ts";
import { Problem } from "../http/problem.ts";
import { callerOf } from "../http/request-locals.ts";
import { isVisibleTo } from "../http/tenancy.ts";
import { eventSummary, presentEvent } from "./present.ts";

/** `GET /events/:id`, with the data */
export function readEvent({ readDb }: Context): RequestHandler {
  return async (request, response) => {
    const id = pathId(request, "evt");
    const [row] = await readDb
      .select({ ...eventSummary, body: events.body })
      .from(events)
      .leftJoin(expansions, eq(expansions.eventId, events.id))
      .where(isVisibleEvent(id, callerOf(response)));
    if (!row) throw noSuchEvent(id);
    const summary = JSON.stringify(presentEvent(row));
    // The data goes out as it is stored: parsing it would round numbers that a double can't hold.
    response.type("application/json").send(`${summary.slice(0, -1)},"data":${dataOf(row.body)}}`);
  };
}

/** `GET /events/:id/deliveries` */
export function listDeliveriesOfEvent({ readPool, readDb }: Context): RequestHandler {
  return async (request, response) => {
    const id = pathId(request, "evt");
    const caller = callerOf(response);
    const found = await readDb.select({ id: events.id }).from(events).where(isVisibleEvent(id, caller));
    if (found.length === 0) throw noSuchEvent(id);
    response.json(await listDeliveries(readPool, caller, { ...query(request, eventDeliveryFilter), event: id }));
  };
}

const isVisibleEvent = (id: string, caller: Caller) => and(eq(events.id, id), isVisibleTo(caller, events.tenant));

const noSuchEvent = (id: string) => new Problem("not_found", `there is no event ${toPublicId("evt", id)}`);
