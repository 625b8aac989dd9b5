import { Router, type RequestHandler } from "express";
import type { Context } from "../context.ts";
import { query } from "../http/parse-request.ts";
import { callerOf } from "../http/request-locals.ts";
import { deliveryFilter } from "./input.ts";
import { listDeliveries } from "./list.ts";
import { readDelivery } from "./read.ts";
import { retryOneDelivery } from "./retry.ts";

const MAX_BODY_BYTES = 16 * 1024;

export function deliveryRoutes(context: Context): Router {
  const routes = Router();
  const { limitReads: reads, readPool } = context;
  const list: RequestHandler = async (request, response) => {
    response.json(await listDeliveries(readPool, callerOf(response), query(request, deliveryFilter)));
  };
  routes.get("/deliveries", reads(list));
  routes.get("/deliveries/:id", reads(readDelivery(context)));
  routes.post("/deliveries/:id/retry", context.readBody(MAX_BODY_BYTES), retryOneDelivery(context));
  return routes;
}
