import type { RequestHandler } from "express";
import { toPublicId } from "@postrider/shared/core/ids/id.ts";
import { listEventRows } from "@postrider/shared/store/sql/list-events.ts";
import type { Context } from "../context.ts";
import { EMPTY_PAGE, pagingOf, toPage } from "../http/page.ts";
import { query } from "../http/parse-request.ts";
import { callerOf } from "../http/request-locals.ts";
import { listedTenant } from "../http/tenancy.ts";
import { eventFilter } from "./input.ts";
import { presentEvent } from "./present.ts";

/** `GET /events` */
export function listEvents({ readPool }: Context): RequestHandler {
  return async (request, response) => {
    const filter = query(request, eventFilter);
    const tenant = listedTenant(callerOf(response), filter.tenant);
    if (tenant === undefined) return void response.json(EMPTY_PAGE);
    const rows = await listEventRows(readPool, pagingOf(filter), { tenant, type: filter.type ?? null });
    response.json(toPage(rows, filter.limit, presentEvent, (row) => toPublicId("evt", row.id)));
  };
}
