import { fileURLToPath } from "node:url";
import express, { type Express } from "express";
import helmet from "helmet";
import { authenticate } from "./access/authenticate.ts";
import { refuseOtherOrigins } from "./access/same-origin.ts";
import { boardRoutes } from "./board/board.ts";
import { logActions } from "./board/log-actions.ts";
import { retryRoutes } from "./board/retry-routes.ts";
import type { Context } from "./context.ts";
import { docsRoutes } from "./docs-routes.ts";
import { errorHandler } from "./errors.ts";
import { fleetRoutes } from "./fleet/fleet-routes.ts";
import { loginRoutes } from "./access/login.ts";
import { needRedis } from "./board/need-redis.ts";

const ASSETS = fileURLToPath(new URL("../assets", import.meta.url));

/** The fleet at `/`, Bull Board at `/queues`, the docs at `/docs`: all behind a login. */
export function createApp(context: Context): Express {
  const app = express();
  app.disable("x-powered-by");
  // A reverse proxy on this machine may say who asks and over which protocol; nobody else may.
  app.set("trust proxy", "loopback");
  app.set("query parser", "simple");
  app.use(securityHeaders());
  app.get("/healthz", (_request, response) => void response.json({ status: "ok" }));
  app.use("/assets", express.static(ASSETS));
  app.use(refuseOtherOrigins);
  app.use(loginRoutes(context));
  app.use(authenticate(context), logActions(context.log));
  app.use(fleetRoutes(context));
  app.use("/docs", docsRoutes());
  app.use("/queues", needRedis(context.redis), retryRoutes(context), boardRoutes(context));
  app.use((_request, response) => void response.status(404).type("text").send("not found: try / or /queues\n"));
  app.use(errorHandler(context.log));
  return app;
}

/**
 * Everything comes from this server. Bull Board writes `style` attributes and `<style>` elements, so inline styles are
 * let through; scripts are files.
 */
const securityHeaders = () =>
  helmet({
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        defaultSrc: ["'none'"],
        scriptSrc: ["'self'"],
        styleSrc: ["'self'", "'unsafe-inline'"],
        imgSrc: ["'self'", "data:"],
        fontSrc: ["'self'"],
        connectSrc: ["'self'"],
        formAction: ["'self'"],
        baseUri: ["'self'"],
        frameAncestors: ["'none'"],
      },
    },
    // With helmet's "no-referrer" browsers send `Origin: null` with forms, which the origin check could not tell apart.
    referrerPolicy: { policy: "same-origin" },
    // Whether this host is only to be reached by https is for whoever terminates TLS to say.
    strictTransportSecurity: false,
  });
