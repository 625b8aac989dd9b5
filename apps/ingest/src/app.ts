import express, { type Express, type RequestHandler } from "express";
import helmet from "helmet";
import { newId } from "@postrider/shared/ids.ts";
import { authenticate } from "./auth.ts";
import type { Context } from "./context.ts";
import { notFound, Problem, problemHandler } from "./problem.ts";
import { deliveryRoutes } from "./routes/deliveries.ts";
import { eventRoutes } from "./routes/events.ts";
import { healthRoutes } from "./routes/health.ts";
import { subscriptionRoutes } from "./routes/subscriptions.ts";

/** The REST API, version 1. */
export function createApp(context: Context): Express {
  const app = express();
  app.disable("x-powered-by");
  app.set("query parser", "simple");
  app.set("etag", false);
  app.use(requestId, helmet());
  app.use(healthRoutes(context));
  app.use("/v1", measure(context), authenticate(context.settings.apiKeys, context.pool));
  app.use("/v1", eventRoutes(context), subscriptionRoutes(context), deliveryRoutes(context));
  app.use("/v1", methodNotAllowed());
  app.use(notFound);
  app.use(problemHandler(context.log));
  return app;
}

/** A caller's own request id is kept when it is harmless, so that it can be found in both logs. */
const requestId: RequestHandler = (request, response, next) => {
  const given = request.get("x-request-id");
  response.setHeader("x-request-id", given !== undefined && /^[\w.:-]{1,128}$/.test(given) ? given : newId());
  next();
};

function measure({ metrics }: Context): RequestHandler {
  return (request, response, next) => {
    const end = metrics.requests.startTimer();
    response.on("finish", () => {
      // The route's pattern, never the path: an id as a label would make a series per delivery.
      const route = typeof request.route?.path === "string" ? `/v1${request.route.path}` : "none";
      end({ method: request.method, route, status: response.statusCode });
    });
    next();
  };
}

/** The routes that exist, and what they take: a known path with another method is a 405 that says which work. */
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

function methodNotAllowed(): RequestHandler {
  return (request, _response, next) => {
    const path = request.path.replace(/\/$/, "");
    const allowed = METHODS.find(([pattern]) => pattern.test(path))?.[1];
    if (allowed === undefined) return next();
    throw new Problem("method_not_allowed", `this route takes ${allowed}`, { headers: { allow: allowed } });
  };
}
