import type { RequestHandler } from "express";
import { and, desc, eq, gte, lt, type SQL } from "drizzle-orm";
import { firstIdAt } from "@postrider/shared/core/ids/id-range.ts";
import { toPublicId } from "@postrider/shared/core/ids/id.ts";
import { events, expansions } from "@postrider/shared/store/schema/index.ts";
import type { Context } from "../context.ts";
import { toPage } from "../http/page.ts";
import { query } from "../http/parse-request.ts";
import { callerOf } from "../http/request-locals.ts";
import { isVisibleTo } from "../http/tenancy.ts";
import { eventFilter } from "./input.ts";
import { eventSummary, presentEvent } from "./present.ts";

/** `GET /events`, newest first */
export function listEvents({ db }: Context): RequestHandler {
  return async (request, response) => {
    const filter = query(request, eventFilter);
    const conditions: (SQL | undefined)[] = [isVisibleTo(callerOf(response), events.tenant, filter.tenant)];
    if (filter.type !== undefined) conditions.push(eq(events.type, filter.type));
    if (filter.cursor !== undefined) conditions.push(lt(events.id, filter.cursor));
    if (filter.since !== undefined) conditions.push(gte(events.id, firstIdAt(filter.since)));
    if (filter.until !== undefined) conditions.push(lt(events.id, firstIdAt(filter.until)));
    const rows = await db
      .select(eventSummary)
      .from(events)
      .leftJoin(expansions, eq(expansions.eventId, events.id))
      .where(and(...conditions))
      .orderBy(desc(events.id))
      .limit(filter.limit + 1);
    response.json(toPage(rows, filter.limit, presentEvent, (row) => toPublicId("evt", row.id)));
  };
}
