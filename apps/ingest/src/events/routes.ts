import { Router } from "express";
import type { Context } from "../context.ts";
import { createBatch, createEvent } from "./create.ts";
import { MAX_BATCH_BYTES, MAX_EVENT_BYTES } from "./input.ts";
import { listEvents } from "./list.ts";
import { listDeliveriesOfEvent, readEvent } from "./read.ts";

export function eventRoutes(context: Context): Router {
  const reads = context.limitReads;
  const routes = Router();
  routes.post("/events", context.readBody(MAX_EVENT_BYTES), createEvent(context));
  routes.post("/events/batch", context.readBody(MAX_BATCH_BYTES), createBatch(context));
  routes.get("/events", reads(listEvents(context)));
  routes.get("/events/:id", reads(readEvent(context)));
  routes.get("/events/:id/deliveries", reads(listDeliveriesOfEvent(context)));
  return routes;
}
