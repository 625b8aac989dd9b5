import type { RequestHandler } from "express";
import type { Redis } from "ioredis";
import { boardError } from "../pages/errors.ts";
import { redisUnavailablePage } from "../pages/redis-unavailable-page.ts";

/** Answers 503 while Redis is unreachable. Bull Board would answer 500 to every call and show an empty page. */
export function requireRedis(redis: Redis): RequestHandler {
  return (request, response, next) => {
    if (redis.status === "ready" || request.path.startsWith("/static/")) return next();
    response.status(503).setHeader("retry-after", 5);
    if (!request.path.startsWith("/api/")) return void response.send(redisUnavailablePage());
    response.json(
      boardError("Redis is unreachable", "The queues are shown again when it is back. Nothing was changed."),
    );
  };
}
