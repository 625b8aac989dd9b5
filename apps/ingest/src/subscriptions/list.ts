import type { RequestHandler } from "express";
import { and, desc, eq, isNull, lt, type SQL } from "drizzle-orm";
import { toPublicId } from "@postrider/shared/core/ids/id.ts";
import { subscriptions } from "@postrider/shared/store/schema/index.ts";
import type { Context } from "../context.ts";
import { toPage } from "../http/page.ts";
import { query } from "../http/parse-request.ts";
import { callerOf } from "../http/request-locals.ts";
import { isVisibleTo } from "../http/tenancy.ts";
import { subscriptionFilter } from "./input.ts";
import type { Presenter } from "./present.ts";

/** `GET /subscriptions`, newest first */
export function listSubscriptions({ db }: Context, present: Presenter): RequestHandler {
  return async (request, response) => {
    const filter = query(request, subscriptionFilter);
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
  };
}
