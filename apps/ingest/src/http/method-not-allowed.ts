import type { RequestHandler } from "express";
import { Problem } from "./problem.ts";

/** The methods of each path. */
const METHODS: readonly [RegExp, string][] = [
  [/^\/events$/, "GET, POST"],
  [/^\/events\/batch$/, "POST"],
  [/^\/events\/[^/]+$/, "GET"],
  [/^\/events\/[^/]+\/deliveries$/, "GET"],
  [/^\/subscriptions$/, "GET, POST"],
  [/^\/subscriptions\/[^/]+$/, "GET, PATCH, DELETE"],
  [/^\/subscriptions\/[^/]+\/secret$/, "GET"],
  [/^\/subscriptions\/[^/]+\/(secret\/rotate|pause|resume|enable)$/, "POST"],
  [/^\/deliveries$/, "GET"],
  [/^\/deliveries\/[^/]+$/, "GET"],
  [/^\/deliveries\/[^/]+\/retry$/, "POST"],
];

/** Answers a known path with an unknown method by a 405 that lists its methods. */
export const methodNotAllowed: RequestHandler = (request, _response, next) => {
  const path = request.path.replace(/\/$/, "");
  const allowed = METHODS.find(([pattern]) => pattern.test(path))?.[1];
  if (allowed === undefined) return next();
  throw new Problem("method_not_allowed", `this route allows ${allowed}`, { headers: { allow: allowed } });
};
