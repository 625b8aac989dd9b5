import express, { Router, type Express, type RequestHandler } from "express";
import { contentSecurityPolicy, strictTransportSecurity, xContentTypeOptions } from "helmet";
import { authenticate } from "./auth.ts";
import { closeUnreadBodies } from "./close-unread.ts";
import type { Context } from "../context.ts";
import { methodNotAllowed } from "./method-not-allowed.ts";
import { observeRequests } from "./observe-requests.ts";
import { MAX_JSON_DEPTH } from "./parse-request.ts";
import { notFound, problemHandler } from "./problem-handler.ts";
import { refuseBadHeads } from "./protocol-errors.ts";
import { refuseDeliveries } from "./refuse-deliveries.ts";
import { assignRequestId } from "./request-id.ts";
import { deliveryRoutes } from "../deliveries/routes.ts";
import { eventRoutes } from "../events/routes.ts";
import { healthRoutes } from "./health.ts";
import { subscriptionRoutes } from "../subscriptions/routes.ts";

/**
 * The headers that OWASP's REST Security Cheat Sheet recommends for JSON. Helmet's others are for pages, and ten more
 * headers would add a twelfth to the cost of a request.
 */
const securityHeaders: readonly RequestHandler[] = [
  contentSecurityPolicy({ useDefaults: false, directives: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] } }),
  strictTransportSecurity(),
  xContentTypeOptions(),
];

/** The REST API, version 1. */
export function createApp(context: Context): Express {
  const app = express();
  app.disable("x-powered-by");
  app.set("query parser", "simple");
  app.set("etag", false);
  app.set(MAX_JSON_DEPTH, context.settings.maxJsonDepth);
  app.use(assignRequestId, closeUnreadBodies, ...securityHeaders, refuseBadHeads);
  app.use("/v1", version1(context));
  app.use(healthRoutes(context));
  app.use(notFound);
  app.use(problemHandler(context.log));
  return app;
}

/** A router of its own, because matching the rest of the path is cheaper than matching the whole path per route. */
function version1(context: Context): Router {
  const routes = Router();
  routes.use(observeRequests(context), refuseDeliveries, authenticate(context));
  routes.use(eventRoutes(context), subscriptionRoutes(context), deliveryRoutes(context));
  routes.use(methodNotAllowed);
  return routes;
}
