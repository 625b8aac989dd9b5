import type { FleetKind, NewSubscription } from "../../support/fleet.ts";
import { ISOLATED } from "./scenario.ts";

/**
 * As far as settings go, nothing stands between the subscribers: no breaker opens before a thousand failures in a row,
 * and one subscriber may have all slots. A worker with more of it taken out is another `workerScript`.
 */
export const UNISOLATED: FleetKind = { env: { ...ISOLATED.env, BREAKER_THRESHOLD: "1000" } };

/** The most that the API takes. */
export const UNISOLATED_POLICY: Pick<NewSubscription, "maxInFlight"> = { maxInFlight: 1_000 };
