import type { SubscriptionStatus } from "../../core/delivery/states.ts";
import { boundedList, readList, type Paging, type Walked } from "../bounded-list.ts";
import { columnsOf } from "../columns.ts";
import type { Queryable } from "../pool.ts";
import { subscriptions } from "../schema/subscriptions.ts";

export type ListedSubscription = typeof subscriptions.$inferSelect & Walked;

const FILTER = `deleted_at is null and ($5::text is null or tenant = $5) and ($6::text is null or status = $6)`;
const COLUMNS = columnsOf(subscriptions);
const ALL = boundedList("subscriptions", COLUMNS, {}, FILTER);
const OF_TENANT = boundedList("subscriptions", COLUMNS, { key: { column: "tenant", value: "$5::text" } }, FILTER);

/** A page of the subscriptions that are not deleted. @param filter null is any */
export async function listSubscriptionRows(
  db: Queryable,
  paging: Paging,
  { tenant, status }: { tenant: string | null; status: SubscriptionStatus | null },
): Promise<ListedSubscription[]> {
  const [name, texts] = tenant === null ? ["list-subscriptions", ALL] : ["list-subscriptions-tenant", OF_TENANT];
  return readList(db, { name, texts }, paging, [tenant, status]);
}
