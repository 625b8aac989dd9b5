import { family } from "@postrider/shared/core/ids/id-range.ts";
import { toPublicId } from "@postrider/shared/core/ids/id.ts";
import type { Queryable } from "@postrider/shared/store/pool.ts";
import { listDeliveryRows } from "@postrider/shared/store/sql/list-deliveries.ts";
import type { Caller } from "../http/caller.ts";
import { EMPTY_PAGE, pagingOf, toPage } from "../http/page.ts";
import { listedTenant } from "../http/tenancy.ts";
import type { DeliveryFilter } from "./input.ts";
import { presentDelivery } from "./present.ts";

/** One page of the deliveries that a caller may see. */
export async function listDeliveries(db: Queryable, caller: Caller, filter: DeliveryFilter) {
  const { limit, subscription = null, event = null, status = null } = filter;
  const tenant = listedTenant(caller, filter.tenant);
  if (tenant === undefined) return EMPTY_PAGE;
  const paging = pagingOf(filter, event === null ? undefined : family(event));
  const rows = await listDeliveryRows(db, paging, { tenant, event, subscription, state: status });
  return toPage(rows, limit, presentDelivery, (row) => toPublicId("dlv", row.id));
}
