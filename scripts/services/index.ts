// PostgreSQL and Redis for people who have them, who have Docker, and who have neither.
export {
  DATA_DIR,
  ensureServices,
  ROOT,
  stopServices,
  type Services,
  type ServicesOptions,
} from "./ensure-services.ts";
export { startThrowawayPostgres, startThrowawayRedis, type Throwaway } from "./throwaway.ts";
