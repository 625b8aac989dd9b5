import type { FleetKind, NewSubscription } from "../../support/fleet.ts";
import { ISOLATED } from "./isolated.ts";

/** A worker in which nothing stands between the subscribers: no breaker ever opens, and one may have all slots. */
export const UNISOLATED: FleetKind = {
  ...ISOLATED,
  workerScript: new URL("../../processes/unisolated-worker.ts", import.meta.url),
};

/** The most that the API takes. */
export const UNISOLATED_POLICY: Pick<NewSubscription, "maxInFlight"> = { maxInFlight: 1_000 };
