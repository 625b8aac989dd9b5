import { and, between, desc, eq, gte, lt, type SQL } from "drizzle-orm";
import { family, firstIdAt } from "@postrider/shared/core/ids/id-range.ts";
import { toPublicId } from "@postrider/shared/core/ids/id.ts";
import type { Db } from "@postrider/shared/store/pool.ts";
import { deliveries } from "@postrider/shared/store/schema/index.ts";
import type { Caller } from "../http/caller.ts";
import { toPage } from "../http/page.ts";
import { isVisibleTo } from "../http/tenancy.ts";
import type { DeliveryFilter } from "./input.ts";
import { presentDelivery } from "./present.ts";

/** One page of the deliveries that a caller may see, newest first. */
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
