import type { DeadReason, DeliveryState, HeldReason } from "./states.ts";

/** The state that a delivery moves to, with the columns of that state. */
export type Transition =
  | { state: "delivered" }
  | { state: "retrying"; delayMs: number }
  | { state: "held"; reason: HeldReason }
  | { state: "dead"; reason: DeadReason }
  | { state: "cancelled" };

/** Final states: only a manual retry changes them. */
export const SETTLED_STATES = ["delivered", "dead", "cancelled"] as const satisfies readonly DeliveryState[];
