import type { Outcome } from "@postrider/shared/core/delivery/outcome.ts";
import type { Context } from "../context.ts";
import type { Attempt } from "../delivery.ts";
import type { Admitted } from "./admission.ts";

/** Reports an attempt's outcome to the subscription's breaker and outage clock. */
export async function reportToBreaker(
  { breakerReports, metrics, outageClock }: Context,
  { subscription, breaker }: Admitted,
  { trigger, generation, startedAtMs }: Attempt,
  outcome: Outcome,
): Promise<void> {
  const isProbe = trigger === "probe";
  const isSuccess = outcome.kind === "delivered";
  if (isProbe) metrics.probes.inc({ result: isSuccess ? "success" : "failure" });
  if (isSuccess && subscription.isFailing) outageClock.clear(subscription.id);
  if (generation === undefined || breaker === undefined) return;
  await breakerReports.report({
    subscriptionId: subscription.id,
    generation,
    isProbe,
    beganAt: startedAtMs,
    wasFailing: breaker.failures > 0 || breaker.state !== "closed",
    outcome,
  });
}
