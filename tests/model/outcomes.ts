import type { Transition } from "@postrider/shared/core/delivery/transitions.ts";
import { newId } from "@postrider/shared/runtime/new-id.ts";

/** What a worker records of a delivery. */
export type Outcome = "delivered" | "retrying" | "held" | "dead" | "paused";

export const attemptOf = (outcome: Outcome) => ({
  id: newId(),
  trigger: "auto" as const,
  startedAt: new Date(),
  durationMs: 1,
  responseStatus: outcome === "delivered" ? 200 : 500,
  responseBody: "",
  error: outcome === "delivered" ? null : "HTTP 500",
});

export function transitionOf(outcome: Outcome): Transition {
  switch (outcome) {
    case "delivered":
      return { state: "delivered" };
    case "retrying":
      return { state: "retrying", delayMs: 3_600_000 };
    case "held":
      return { state: "held", reason: "breaker" };
    case "paused":
      return { state: "held", reason: "paused" };
    case "dead":
      return { state: "dead", reason: "exhausted" };
  }
}
