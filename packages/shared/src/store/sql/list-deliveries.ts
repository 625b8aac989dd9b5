import { getTableColumns } from "drizzle-orm";
import type { DeliveryState } from "../../core/delivery/states.ts";
import { boundedList, readList, type Order, type Paging, type Walked } from "../bounded-list.ts";
import { columnsOf } from "../columns.ts";
import type { Queryable } from "../pool.ts";
import { deliveries } from "../schema/deliveries.ts";

export type ListedDelivery = typeof deliveries.$inferSelect & Walked;

export interface DeliveryListFilter {
  /** Null is every tenant. */
  tenant: string | null;
  event: string | null;
  state: DeliveryState | null;
  subscription: string | null;
}

const FILTER = `($5::text is null or tenant = $5) and ($6::uuid is null or event_id = $6)
      and ($7::text is null or state = $7)`;

/** Another tenant's subscription has nothing to walk: its cursor would show that there is something. */
const OWN_SUBSCRIPTION = `(case when $5::text is null then $8::uuid
        else (select id from subscriptions where id = $8::uuid and tenant = $5) end)`;

const COLUMNS = columnsOf(deliveries);
const OTHERS = Object.values(getTableColumns(deliveries))
  .filter(({ name }) => name !== "id")
  .map(({ name }) => `found.${name}`)
  .join(", ");
const KEYS = {
  none: undefined,
  tenant: { column: "tenant", value: "$5::text" },
  subscription: { column: "subscription_id", value: OWN_SUBSCRIPTION },
} as const;
type Key = keyof typeof KEYS;

/** The first and the last id of the family of an id (core/ids/id-range.ts). */
const firstOf = (id: string): string => `(left(${id}::text, 18) || '-0000-000000000000')::uuid`;
const lastOf = (id: string): string => `(left(${id}::text, 18) || '-ffff-ffffffffffff')::uuid`;

/**
 * A tenant's deliveries without an index of their own, which each accepted and each recorded delivery would have to be
 * written to: a walk of the tenant's events, and for each of the deliveries in its family, which are one range of the
 * primary key. An event without any is a row, too, so that the walk is as long as it says: half of $4, of which each may
 * be an event and a delivery. Two events of one family, made by two processes, are walked once; they may be of two
 * tenants, and what is not this one's is walked and filtered out, so that its number does not matter.
 */
function ofTenant(order: Order): string {
  const edge = order === "desc" ? "-8000-000000000000" : "-bfff-ffffffffffff";
  const walk = "$4::int / 2";
  return `
  select ${COLUMNS}, matches, n = ${walk} as "isLast" from (
    select *, (event_id is not null and ${FILTER}) is true as matches, row_number() over () as n from (
      select coalesce(found.id, (left(event.id::text, 18) || '${edge}')::uuid) as id, ${OTHERS}
      from (
        select id, ${firstOf("id")} as first, ${lastOf("id")} as last, lag(id) over () as previous from (
          select id from events
          where (tenant, id) >= ($5::text, ${firstOf("$2::uuid")}) and (tenant, id) <= ($5::text, ${lastOf("$1::uuid")})
            and id >= ${firstOf("$2::uuid")} and id <= ${lastOf("$1::uuid")}
          order by tenant ${order}, id ${order} limit $4::int
        ) walked
      ) event left join lateral (
        select * from deliveries
        where id >= event.first and id <= event.last and id >= $2::uuid and id < $1::uuid
        order by id ${order} limit ${walk}
      ) found on true
      where (previous between first and last) is not true
      limit ${walk}
    ) walked
  ) judged
  where matches or n = ${walk} limit $3`;
}

const textsOf = (key: Key, isDead: boolean) => boundedList("deliveries", COLUMNS, { key: KEYS[key], isDead }, FILTER);
const TEXTS = {
  none: [textsOf("none", false), textsOf("none", true)],
  tenant: [{ desc: ofTenant("desc"), asc: ofTenant("asc") }, textsOf("tenant", true)],
  subscription: [textsOf("subscription", false), textsOf("subscription", true)],
} as const satisfies Record<
  Key,
  readonly [all: Readonly<Record<Order, string>>, dead: Readonly<Record<Order, string>>]
>;

/** A page of deliveries, by the narrowest index that the filter has. */
export async function listDeliveryRows(
  db: Queryable,
  paging: Paging,
  { tenant, event, state, subscription }: DeliveryListFilter,
): Promise<ListedDelivery[]> {
  const key: Key = subscription !== null ? "subscription" : tenant !== null ? "tenant" : "none";
  const isDead = state === "dead";
  const filters = [tenant, event, state, ...(key === "subscription" ? [subscription] : [])];
  const name = `list-deliveries-${key}${isDead ? "-dead" : ""}`;
  return readList(db, { name, texts: TEXTS[key][isDead ? 1 : 0] }, paging, filters);
}
