import type { Outcome } from "@postrider/shared/core/delivery/outcome.ts";
import type { Transition } from "@postrider/shared/core/delivery/transitions.ts";
import { timeOfId } from "@postrider/shared/core/ids/id-range.ts";
import { toPublicId } from "@postrider/shared/core/ids/id.ts";
import type { Context } from "../context.ts";
import type { Attempt, Delivery, Subscription } from "../delivery.ts";

interface Observed {
  delivery: Delivery;
  subscription: Subscription;
  attempt: Attempt;
  outcome: Outcome;
  transition: Transition;
  error: string | null;
}

/** Observes the metrics of one attempt, and logs it in one wide line. */
export function observeAttempt(context: Context, observed: Observed): void {
  observeMetrics(context, observed);
  // Building the line costs as much as the metrics, so skip it where the level is off.
  if (context.log.isLevelEnabled("info")) logAttempt(context, observed);
}

function observeMetrics({ metrics }: Context, { delivery, attempt, outcome }: Observed): void {
  const { exchange, trigger } = attempt;
  const { kind } = outcome;
  metrics.attempts.inc({
    outcome: kind,
    trigger,
    status: classOf(exchange.responseStatus),
    error: exchange.errorCode ?? "none",
  });
  metrics.attemptDuration.observe({ outcome: kind }, exchange.durationMs / 1000);
  if (exchange.phases !== null) {
    metrics.attemptPhase.observe({ phase: "first_byte" }, exchange.phases.firstByteMs / 1000);
    metrics.attemptPhase.observe({ phase: "body" }, exchange.phases.bodyMs / 1000);
  }
  const waitedMs = Math.max(0, attempt.startedAt.getTime() - timeOfId(delivery.id));
  if (delivery.attemptCount === 0) metrics.firstAttemptDelay.observe(waitedMs / 1000);
  // A manual retry may come days later, so later cycles are not measured.
  if (kind === "delivered" && delivery.cycle === 0) {
    metrics.deliveryDuration.observe((waitedMs + exchange.durationMs) / 1000);
  }
}

function logAttempt({ log }: Context, { delivery, subscription, attempt, outcome, transition, error }: Observed): void {
  const { exchange, trigger } = attempt;
  log.info(
    {
      event: toPublicId("evt", delivery.eventId),
      delivery: toPublicId("dlv", delivery.id),
      attempt: toPublicId("att", attempt.id),
      subscription: toPublicId("sub", delivery.subscriptionId),
      tenant: delivery.tenant,
      type: delivery.eventType,
      host: subscription.url.host,
      number: delivery.attemptCount + 1,
      cycle: delivery.cycle,
      trigger,
      outcome: outcome.kind,
      next: transition.state,
      status: exchange.responseStatus,
      durationMs: exchange.durationMs,
      ...(error === null ? {} : { error }),
      ...(exchange.errorDetail === null ? {} : { errorDetail: exchange.errorDetail }),
    },
    "attempt",
  );
}

const classOf = (status: number | null): string => (status === null ? "none" : `${Math.floor(status / 100)}xx`);
