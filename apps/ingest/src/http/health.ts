import { Router } from "express";
import { within } from "@postrider/shared/concurrency/within.ts";
import type { Context } from "../context.ts";

const CHECK_TIMEOUT_MS = 2_000;

/**
 * `/healthz`: the process runs. `/readyz`: Postgres answers, so events can be accepted, and the process is not being
 * stopped. Without Redis ingest is only `degraded`.
 */
export function healthRoutes(context: Context): Router {
  const routes = Router();

  routes.get("/healthz", (_request, response) => {
    response.json({ status: "ok" });
  });

  routes.get("/readyz", async (_request, response) => {
    const checks = await checkHealth(context);
    const status = statusOf(checks, context.lifecycle.isDraining);
    response.status(status === "ok" || status === "degraded" ? 200 : 503).json({ status, checks });
  });

  return routes;
}

type Checks = Record<"postgres" | "redis", "ok" | "unavailable">;

function statusOf({ postgres, redis }: Checks, isDraining: boolean): string {
  if (isDraining) return "draining";
  if (postgres !== "ok") return "unavailable";
  return redis === "ok" ? "ok" : "degraded";
}

export async function checkHealth({ pool, redis }: Context): Promise<Checks> {
  const [postgresHealth, redisHealth] = await Promise.all([healthOf(pool.query("select 1")), healthOf(redis.ping())]);
  return { postgres: postgresHealth, redis: redisHealth };
}

function healthOf(check: Promise<unknown>): Promise<"ok" | "unavailable"> {
  const health = check.then(
    () => "ok" as const,
    () => "unavailable" as const,
  );
  return within<"ok" | "unavailable">(CHECK_TIMEOUT_MS, health, () => "unavailable");
}
