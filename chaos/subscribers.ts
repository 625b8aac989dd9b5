/** The subscriptions of every run. Tenants share event types, so that a mix-up between tenants shows. */
export const SUBSCRIBERS: readonly { tenant: string; eventTypes: readonly string[] }[] = [
  { tenant: "acme", eventTypes: ["*"] },
  { tenant: "acme", eventTypes: ["order.*"] },
  { tenant: "acme", eventTypes: ["order.created", "invoice.paid"] },
  { tenant: "acme", eventTypes: ["order.item.*", "order.*"] },
  { tenant: "globex", eventTypes: ["*"] },
  { tenant: "globex", eventTypes: ["invoice.*"] },
  { tenant: "initech", eventTypes: ["order.item.added"] },
];

export const TENANTS = ["acme", "acme", "acme", "globex", "globex", "initech"];
export const EVENT_TYPES = [
  "order.created",
  "order.item.added",
  "order",
  "orders.created",
  "invoice.paid",
  "user.created",
];
