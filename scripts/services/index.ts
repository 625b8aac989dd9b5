// PostgreSQL and Redis, whether they are configured, run in Docker, or have to be installed.
export { destroyServices, ensureServices, stopServices } from "./ensure-services.ts";
export { DATA_DIR, readEnvironment, ROOT } from "./environment.ts";
export { startThrowawayPostgres, startThrowawayRedis, type Throwaway } from "./throwaway.ts";
export { withClient } from "./postgres-server.ts";
export { hasDocker, startContainer } from "./container.ts";
export { hasServers } from "./install.ts";
