import type { Outcome } from "@postrider/shared/core/delivery/outcome.ts";
import type { Context } from "../context.ts";
import type { Attempt, Delivery, Subscription } from "../delivery.ts";

/**
 * Reports an attempt's outcome to the subscription's breaker and pace, and notes it for its row.
 *
 * @param error why the attempt failed; null for a success
 */
export async function reportHealth(
  { breakerReports, metrics, subscriptionHealth, slots }: Context,
  { id: deliveryId }: Delivery,
  subscription: Subscription,
  { trigger, startedAtMs, exchange }: Attempt,
  outcome: Outcome,
  error: string | null,
): Promise<void> {
  const isSuccess = outcome.kind === "delivered";
  const isProbe = trigger === "probe";
  if (isProbe) metrics.probes.inc({ result: isSuccess ? "success" : "failure" });
  if (isSuccess) subscriptionHealth.succeeded(subscription);
  else subscriptionHealth.failed(subscription, error ?? outcome.kind, isProbe);
  await breakerReports.report({
    subscriptionId: subscription.id,
    deliveryId,
    trigger,
    sentAt: startedAtMs,
    outcome,
    lastSuccessAt: subscription.lastSuccessAt,
    responseStatus: exchange.responseStatus,
    isWaiting: slots.hasWaiters(subscription.id),
  });
}
