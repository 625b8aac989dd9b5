import type { RequestHandler } from "express";
import { toPublicId } from "@postrider/shared/core/ids/id.ts";
import { listSubscriptionRows } from "@postrider/shared/store/sql/list-subscriptions.ts";
import type { Context } from "../context.ts";
import { EMPTY_PAGE, pagingOf, toPage } from "../http/page.ts";
import { query } from "../http/parse-request.ts";
import { callerOf } from "../http/request-locals.ts";
import { listedTenant } from "../http/tenancy.ts";
import { subscriptionFilter } from "./input.ts";
import type { Presenter } from "./present.ts";

/** `GET /subscriptions` */
export function listSubscriptions({ readPool }: Context, present: Presenter): RequestHandler {
  return async (request, response) => {
    const filter = query(request, subscriptionFilter);
    const tenant = listedTenant(callerOf(response), filter.tenant);
    if (tenant === undefined) return void response.json(EMPTY_PAGE);
    const rows = await listSubscriptionRows(readPool, pagingOf(filter), { tenant, status: filter.status ?? null });
    const { data, nextCursor } = toPage(
      rows,
      filter.limit,
      (row) => row,
      (row) => toPublicId("sub", row.id),
    );
    response.json({ data: await present(data), nextCursor });
  };
}
