import type { Transition } from "@postrider/shared/core/delivery/transitions.ts";
import { timeOfId } from "@postrider/shared/core/ids/id-range.ts";
import type { Trigger } from "@postrider/shared/core/delivery/states.ts";
import { toPublicId } from "@postrider/shared/core/ids/id.ts";
import type { Context } from "../context.ts";
import type { Exchange } from "../http/send.ts";
import type { Delivery, Subscription } from "../delivery.ts";

/** One wide line and the metrics of one attempt. */
export function observeAttempt(
  { log, metrics }: Context,
  seen: {
    delivery: Delivery;
    subscription: Subscription;
    id: string;
    trigger: Trigger;
    startedAt: Date;
    outcome: string;
    transition: Transition;
    exchange: Exchange;
    error: string | null;
  },
): void {
  const { delivery, exchange, outcome, trigger } = seen;
  metrics.attempts.inc({
    outcome,
    trigger,
    status: classOf(exchange.responseStatus),
    error: exchange.errorCode ?? "none",
  });
  metrics.attemptDuration.observe({ outcome }, exchange.durationMs / 1000);
  if (exchange.phases !== null) {
    metrics.attemptPhase.observe({ phase: "first_byte" }, exchange.phases.firstByteMs / 1000);
    metrics.attemptPhase.observe({ phase: "body" }, exchange.phases.bodyMs / 1000);
  }
  const waitedMs = Math.max(0, seen.startedAt.getTime() - timeOfId(delivery.id));
  if (delivery.attemptCount === 0) metrics.firstAttemptDelay.observe(waitedMs / 1000);
  // A manual attempt may come days later, and says nothing of how fast we are.
  if (outcome === "delivered" && delivery.cycle === 0) {
    metrics.deliveryDuration.observe((waitedMs + exchange.durationMs) / 1000);
  }
  // An attempt's line costs as much as its metrics: not made where nobody reads it.
  if (!log.isLevelEnabled("info")) return;
  log.info(
    {
      event: toPublicId("evt", delivery.eventId),
      delivery: toPublicId("dlv", delivery.id),
      attempt: toPublicId("att", seen.id),
      subscription: toPublicId("sub", delivery.subscriptionId),
      tenant: delivery.tenant,
      type: delivery.eventType,
      host: seen.subscription.url.host,
      number: delivery.attemptCount + 1,
      cycle: delivery.cycle,
      trigger,
      outcome,
      next: seen.transition.state,
      status: exchange.responseStatus,
      durationMs: exchange.durationMs,
      ...(seen.error === null ? {} : { error: seen.error }),
    },
    "attempt",
  );
}

const classOf = (status: number | null): string => (status === null ? "none" : `${Math.floor(status / 100)}xx`);
