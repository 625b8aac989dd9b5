import { Router } from "express";
import { healthOf, postgresHealth, readinessOf, type Readiness } from "@postrider/shared/runtime/readiness.ts";
import type { Context } from "../context.ts";

/**
 * `/healthz`: the process runs. `/readyz`: Postgres answers, so events can be accepted. Without Redis, or with a wrong
 * clock, ingest is only `degraded`.
 */
export function healthRoutes(context: Context): Router {
  const routes = Router();

  routes.get("/healthz", (_request, response) => {
    response.json({ status: "ok" });
  });

  routes.get("/readyz", async (_request, response) => {
    const readiness = await readReadiness(context);
    response.status(readiness.status === "unavailable" ? 503 : 200).json(readiness);
  });

  return routes;
}

export async function readReadiness({ pool, redis }: Context): Promise<Readiness> {
  const [postgres, redisHealth] = await Promise.all([postgresHealth(pool), healthOf(redis.ping())]);
  return readinessOf({ postgres, redis: redisHealth }, ["postgres"]);
}
