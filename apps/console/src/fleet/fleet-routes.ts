import { Router } from "express";
import { readFleetState } from "@postrider/shared/runtime/fleet/fleet-state.ts";
import { now } from "@postrider/shared/runtime/clock.ts";
import type { Context } from "../context.ts";
import { fleetPage } from "./fleet-page.ts";

/** `/`, the state of the fleet, and `/metrics`, those of the console. */
export function fleetRoutes(context: Context): Router {
  const routes = Router();
  routes.get("/", async (_request, response) => {
    const at = now();
    response.setHeader("cache-control", "no-store");
    response.send(fleetPage(await readFleetState(context, at), at));
  });
  routes.get("/metrics", async (_request, response) => {
    response.type(context.registry.contentType).send(await context.registry.metrics());
  });
  return routes;
}
