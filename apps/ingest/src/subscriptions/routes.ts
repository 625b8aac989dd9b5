import { Router } from "express";
import type { Context } from "../context.ts";
import { patchSubscription, deleteSubscription } from "./change.ts";
import { createSubscription } from "./create.ts";
import { listSubscriptions } from "./list.ts";
import { createPresenter } from "./present.ts";
import { readSubscription } from "./read.ts";
import { readSecret, rotateSecret } from "./secrets.ts";
import { enableSubscription, pauseSubscription, resumeSubscription } from "./status.ts";

const MAX_BODY_BYTES = 128 * 1024;

export function subscriptionRoutes(context: Context): Router {
  const reads = context.limitReads;
  const present = createPresenter(context);
  const presentRead = createPresenter({ ...context, pool: context.readPool });
  const readBody = context.readBody(MAX_BODY_BYTES);
  const routes = Router();
  routes.post("/subscriptions", readBody, createSubscription(context));
  routes.get("/subscriptions", reads(listSubscriptions(context, presentRead)));
  routes.get("/subscriptions/:id", reads(readSubscription(context, presentRead)));
  routes.patch("/subscriptions/:id", readBody, patchSubscription(context, present));
  routes.delete("/subscriptions/:id", deleteSubscription(context));
  routes.get("/subscriptions/:id/secret", reads(readSecret(context)));
  routes.post("/subscriptions/:id/secret/rotate", readBody, rotateSecret(context));
  routes.post("/subscriptions/:id/pause", readBody, pauseSubscription(context));
  routes.post("/subscriptions/:id/resume", readBody, resumeSubscription(context));
  routes.post("/subscriptions/:id/enable", readBody, enableSubscription(context));
  return routes;
}
