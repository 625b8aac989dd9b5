import type { FleetKind } from "../../support/fleet.ts";

/** Longer than a slow subscriber takes, so that it doesn't count as dead. */
const TIMES = { DELIVERY_TIMEOUT: "15s", SHUTDOWN_DEADLINE: "20s" };

/** Postrider as it is. */
export const ISOLATED: FleetKind = { env: TIMES };
