import type { Outcome } from "@postrider/shared/core/delivery/outcome.ts";
import type { Context } from "../context.ts";
import type { Attempt, Delivery, Subscription } from "../delivery.ts";

/** Reports an attempt's outcome to the subscription's breaker, pace and outage clock. */
export async function reportToBreaker(
  { breakerReports, metrics, outageClock, slots }: Context,
  { id: deliveryId }: Delivery,
  { id: subscriptionId, isFailing }: Subscription,
  { trigger, startedAtMs, exchange }: Attempt,
  outcome: Outcome,
): Promise<void> {
  const isSuccess = outcome.kind === "delivered";
  if (trigger === "probe") metrics.probes.inc({ result: isSuccess ? "success" : "failure" });
  if (isSuccess && isFailing) outageClock.clear(subscriptionId);
  await breakerReports.report({
    subscriptionId,
    deliveryId,
    trigger,
    sentAt: startedAtMs,
    outcome,
    responseStatus: exchange.responseStatus,
    isWaiting: slots.hasWaiters(subscriptionId),
  });
}
