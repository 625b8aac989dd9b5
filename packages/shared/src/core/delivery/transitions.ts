import type { DeadReason, DeliveryState, HeldReason } from "./states.ts";

/** The state that a delivery moves to, with what belongs to that state. */
export type Transition =
  | { state: "delivered" }
  | { state: "retrying"; delayMs: number }
  | { state: "held"; reason: HeldReason }
  | { state: "dead"; reason: DeadReason }
  | { state: "cancelled" };

/** States in which a delivery is finished: only a person's retry moves it on. */
export const SETTLED_STATES = ["delivered", "dead", "cancelled"] as const satisfies readonly DeliveryState[];
