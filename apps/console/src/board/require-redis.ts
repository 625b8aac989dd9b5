import type { RequestHandler } from "express";
import type { Redis } from "ioredis";
import { boardError } from "../errors.ts";
import { redisAwayPage } from "../pages/redis-away-page.ts";

/** Answers 503 for Bull Board while Redis is away: it would answer 500 to every call, and its page would stay empty. */
export function needRedis(redis: Redis): RequestHandler {
  return (request, response, next) => {
    if (redis.status === "ready" || request.path.startsWith("/static/")) return next();
    response.status(503).setHeader("retry-after", 5);
    if (!request.path.startsWith("/api/")) return void response.send(redisAwayPage());
    response.json(boardError("Redis is away", "The queues are shown again when it is back. Nothing was changed."));
  };
}
