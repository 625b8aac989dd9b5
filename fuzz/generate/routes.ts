import { BODIES, type BodyShape, QUERIES, type Value } from "./fields.ts";
import type { Ids } from "./subject.ts";

export interface Route {
  method: string;
  /** With `:id`, `:name` and the like for its parameters. */
  path: string;
  /** What `:id` names. */
  id?: keyof Ids;
  body?: BodyShape;
  query?: Readonly<Record<string, Value>>;
  /** The share of calls that it gets. */
  weight: number;
}

/** Every route of the API, by a test that compares them with those of ingest. */
export const API_ROUTES: readonly Route[] = [
  { method: "POST", path: "/v1/events", body: BODIES.event, weight: 10 },
  { method: "POST", path: "/v1/events/batch", body: BODIES.batch, weight: 5 },
  { method: "GET", path: "/v1/events", query: QUERIES.events, weight: 4 },
  { method: "GET", path: "/v1/events/:id", id: "event", query: QUERIES.none, weight: 3 },
  { method: "GET", path: "/v1/events/:id/deliveries", id: "event", query: QUERIES.page, weight: 3 },
  { method: "POST", path: "/v1/subscriptions", body: BODIES.newSubscription, weight: 10 },
  { method: "GET", path: "/v1/subscriptions", query: QUERIES.subscriptions, weight: 4 },
  { method: "GET", path: "/v1/subscriptions/:id", id: "subscription", query: QUERIES.none, weight: 3 },
  { method: "PATCH", path: "/v1/subscriptions/:id", id: "subscription", body: BODIES.subscriptionChange, weight: 10 },
  { method: "DELETE", path: "/v1/subscriptions/:id", id: "subscription", weight: 1 },
  { method: "GET", path: "/v1/subscriptions/:id/secret", id: "subscription", weight: 2 },
  { method: "POST", path: "/v1/subscriptions/:id/secret/rotate", id: "subscription", body: BODIES.rotation, weight: 3 },
  { method: "POST", path: "/v1/subscriptions/:id/pause", id: "subscription", body: BODIES.nothing, weight: 1 },
  { method: "POST", path: "/v1/subscriptions/:id/resume", id: "subscription", body: BODIES.nothing, weight: 2 },
  { method: "POST", path: "/v1/subscriptions/:id/enable", id: "subscription", body: BODIES.nothing, weight: 2 },
  { method: "GET", path: "/v1/deliveries", query: QUERIES.deliveries, weight: 4 },
  { method: "GET", path: "/v1/deliveries/:id", id: "delivery", weight: 3 },
  { method: "POST", path: "/v1/deliveries/:id/retry", id: "delivery", body: BODIES.nothing, weight: 3 },
  { method: "GET", path: "/healthz", weight: 1 },
  { method: "GET", path: "/readyz", weight: 1 },
];

/** Paths that are no routes, or not yet. */
export const OTHER_PATHS: readonly string[] = [
  "/",
  "/v1",
  "/v1/",
  "/v1//events",
  "/v1/events/",
  "/V1/EVENTS",
  "/v2/events",
  "/v1/replays",
  "/v1/tenants",
  "/v1/event-types",
  "/v1/api-keys",
  "/v1/audit",
  "/v1/stats",
  "/v1/attempts",
  "/v1/subscriptions/:id/discard",
  "/v1/subscriptions/:id/test",
  "/v1/portal/sessions",
  "/openapi.json",
  "/docs",
  "/metrics",
  "/favicon.ico",
  "/.env",
  "/v1/events?",
  "/v1/../v1/events",
];

const CONSOLE_GET = [
  "/",
  "/healthz",
  "/metrics",
  "/favicon.ico",
  "/assets/icon.svg",
  "/login",
  "/login?next=/queues",
  "/docs",
  "/docs/:name",
  "/queues",
  "/queues/api/queues",
  "/queues/api/redis/stats",
  "/queues/api/queues/:queue/:job",
  "/queues/api/queues/:queue/:job/logs",
  "/queues/api/queues/:queue/metrics",
];
const CONSOLE_CHANGES = [
  ["POST", "/login"],
  ["POST", "/logout"],
  ["PUT", "/queues/api/queues/:queue/:job/retry"],
  ["PUT", "/queues/api/queues/retry/:job/promote"],
  ["PUT", "/queues/api/queues/retry/retry/failed"],
  ["PUT", "/queues/api/queues/:queue/empty"],
  ["PUT", "/queues/api/queues/pause"],
  ["POST", "/queues/api/queues/:queue/add"],
  ["PATCH", "/queues/api/queues/:queue/:job/delay"],
] as const;

export const CONSOLE_ROUTES: readonly Route[] = [
  ...CONSOLE_GET.map((path) => ({ method: "GET", path, weight: 2 })),
  ...CONSOLE_CHANGES.map(([method, path]) => ({ method, path, weight: 1 })),
];

export const ADMIN_ROUTES: readonly Route[] = ["/metrics", "/healthz", "/readyz", "/", "/debug", "/metrics/../x"].map(
  (path) => ({ method: "GET", path, weight: 1 }),
);
