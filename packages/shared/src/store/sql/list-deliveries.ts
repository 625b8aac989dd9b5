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
const KEYS = {
  none: undefined,
  tenant: { column: "tenant", value: "$5::text" },
  subscription: { column: "subscription_id", value: OWN_SUBSCRIPTION },
} as const;
type Key = keyof typeof KEYS;

const textsOf = (key: Key, isDead: boolean) => boundedList("deliveries", COLUMNS, { key: KEYS[key], isDead }, FILTER);
const TEXTS = {
  none: [textsOf("none", false), textsOf("none", true)],
  tenant: [textsOf("tenant", false), textsOf("tenant", true)],
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
