import type { NewSubscription } from "@postrider/testkit/client/types.ts";
import type { FleetKind } from "../../support/fleet.ts";
import { ISOLATED } from "./isolated.ts";

/** A worker without isolation: no breaker ever opens, and one subscription may have all slots. */
export const UNISOLATED: FleetKind = {
  ...ISOLATED,
  workerScript: new URL("../../processes/unisolated-worker.ts", import.meta.url),
};

/** The maximum that the API accepts. */
export const UNISOLATED_POLICY: Pick<NewSubscription, "maxInFlight"> = { maxInFlight: 1_000 };
