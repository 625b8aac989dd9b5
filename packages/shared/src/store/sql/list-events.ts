import { boundedList, readList, type Paging, type Walked } from "../bounded-list.ts";
import type { Queryable } from "../pool.ts";

export interface ListedEvent extends Walked {
  type: string;
  tenant: string;
  /** So far, while `expanding`. */
  deliveries: number;
  expanding: boolean;
}

const FILTER = "($5::text is null or tenant = $5) and ($6::text is null or type = $6)";
const WRITTEN = "(select written from expansions where event_id = judged.id)";
const COLUMNS = `id, type, tenant, coalesce(${WRITTEN}, delivery_count) as deliveries, ${WRITTEN} is not null as expanding`;
const ALL = boundedList("events", COLUMNS, {}, FILTER);
const OF_TENANT = boundedList("events", COLUMNS, { key: { column: "tenant", value: "$5::text" } }, FILTER);

/** A page of events. @param filter null is any */
export async function listEventRows(
  db: Queryable,
  paging: Paging,
  { tenant, type }: { tenant: string | null; type: string | null },
): Promise<ListedEvent[]> {
  const [name, texts] = tenant === null ? ["list-events", ALL] : ["list-events-tenant", OF_TENANT];
  return readList(db, { name, texts }, paging, [tenant, type]);
}
