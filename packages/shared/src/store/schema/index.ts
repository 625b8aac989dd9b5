export { apiKeys } from "./api-keys.ts";
export { attempts } from "./attempts.ts";
export { deliveries } from "./deliveries.ts";
export { events } from "./events.ts";
export { idempotencyKeys } from "./idempotency-keys.ts";
export { schemaVersions } from "./schema-versions.ts";
export { subscriptionPatterns } from "./subscription-patterns.ts";
export { subscriptions, type Sealed, type StoredSecret } from "./subscriptions.ts";
