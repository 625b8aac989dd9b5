// PostgreSQL and Redis for people who have them, who have Docker, and who have neither.
export { destroyServices, ensureServices, stopServices } from "./ensure-services.ts";
export { DATA_DIR, readEnvironment, ROOT } from "./environment.ts";
export { startThrowawayPostgres, startThrowawayRedis, type Throwaway } from "./throwaway.ts";
export { withClient } from "./postgres-server.ts";
