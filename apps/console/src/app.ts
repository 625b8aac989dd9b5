import { fileURLToPath } from "node:url";
import express, { type Express, type Request } from "express";
import helmet from "helmet";
import { isTrustedProxy } from "@postrider/shared/runtime/client-address.ts";
import { authenticate } from "./access/authenticate.ts";
import { refuseOtherOrigins } from "./access/refuse-other-origins.ts";
import { boardRoutes } from "./board/board-routes.ts";
import { logActions } from "./board/log-actions.ts";
import { retryRoutes } from "./board/retry-routes.ts";
import type { Context } from "./context.ts";
import { docsRoutes } from "./pages/docs-routes.ts";
import { errorHandler } from "./pages/errors.ts";
import { fleetRoutes } from "./fleet/fleet-routes.ts";
import { loginRoutes } from "./access/login-routes.ts";
import { requireRedis } from "./board/require-redis.ts";

const ASSETS = fileURLToPath(new URL("../assets", import.meta.url));

/** The fleet at `/`, Bull Board at `/queues`, the docs at `/docs`: all behind a login. */
export function createApp(context: Context): Express {
  const { settings, clientAddress } = context;
  const app = express();
  app.disable("x-powered-by");
  // X-Forwarded-Proto and X-Forwarded-Host count only where they come from a trusted proxy.
  app.set("trust proxy", (address: string) => isTrustedProxy(settings.trustedProxies, address));
  // Express's own getter returns any text that X-Forwarded-For has at the place of the client's address.
  Object.defineProperty(app.request, "ip", {
    get(this: Request) {
      return clientAddress(this);
    },
  });
  app.set("query parser", "simple");
  app.use(securityHeaders());
  app.get("/healthz", (_request, response) => void response.json({ status: "ok" }));
  // Browsers ask for it on pages that name no icon, such as plain text.
  app.get("/favicon.ico", (_request, response) => response.redirect("/assets/icon.svg"));
  app.use("/assets", express.static(ASSETS));
  app.use(refuseOtherOrigins(settings.publicUrl));
  app.use(loginRoutes(context));
  app.use(authenticate(context), logActions(context.log));
  app.use(fleetRoutes(context));
  app.use("/docs", docsRoutes());
  app.use("/queues", requireRedis(context.redis), retryRoutes(context), boardRoutes(context));
  app.use((_request, response) => void response.status(404).type("text").send("not found: try / or /queues\n"));
  app.use(errorHandler(context.log));
  return app;
}

/**
 * Pages may load from this server only. Inline styles are allowed, because Bull Board writes `style` attributes and
 * `<style>` elements; inline scripts are not.
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
    // With helmet's default, "no-referrer", browsers send `Origin: null` with forms, which the origin check refuses.
    referrerPolicy: { policy: "same-origin" },
    // Left to the proxy that terminates TLS.
    strictTransportSecurity: false,
  });
