import { decide, triggerOf } from "@postrider/shared/core/decision.ts";
import { classify } from "@postrider/shared/core/outcome.ts";
import { sign } from "@postrider/shared/core/signer.ts";
import type { DeadReason } from "@postrider/shared/core/states.ts";
import { newId, toPublicId } from "@postrider/shared/ids.ts";
import { admit } from "./admit.ts";
import type { Context } from "./context.ts";
import { disableSubscription } from "./disable-subscription.ts";
import { send, type SendResult } from "./http/send.ts";
import type { Lease } from "./lease.ts";
import type { Delivery } from "./load-deliveries.ts";
import type { BrokenSubscription, Subscription } from "./load-subscriptions.ts";
import type { Move } from "./record-attempts.ts";
import { observeAttempt } from "./observe-attempt.ts";
import { USER_AGENT } from "./user-agent.ts";

/** What a lane has to do once it is recorded. */
export type Ending =
  /** Delivered, held or cancelled, or somebody else's by now: the lane is done with it. */
  | { kind: "settled" }
  | { kind: "retrying"; delayMs: number; error: string }
  | { kind: "dead"; reason: DeadReason; error: string }
  /** Nothing was sent, because the lease ended first: the delivery is where it was. */
  | { kind: "given_back" };

type Subscribed = Subscription | BrokenSubscription | undefined;

/**
 * Takes one delivery through admit, send, classify, decide and record.
 *
 * @param onStarted called once when it needs no more waiting: it has a slot, or none is needed
 */
async function deliver(
  context: Context,
  delivery: Delivery,
  subscribed: Subscribed,
  lease: Lease,
  onStarted: () => void,
): Promise<Ending> {
  const admission = admit(subscribed);
  if (admission.kind !== "admitted" || !delivery.hasEvent) onStarted();
  if (!delivery.hasEvent) return fail(context, delivery, "the event is missing");
  switch (admission.kind) {
    case "held":
      return move(context, delivery, { state: "held", reason: admission.reason });
    case "cancelled":
      return move(context, delivery, { state: "cancelled" });
    case "broken":
      return fail(context, delivery, admission.problem);
    case "admitted":
      return attempt(context, delivery, admission.subscription, lease, onStarted);
  }
}

/** deliver(), and where it throws (a bug, a value that Postgres refuses) the one delivery is set apart and its neighbours go on. */
export async function deliverOrSetApart(
  context: Context,
  delivery: Delivery,
  subscribed: Subscribed,
  lease: Lease,
  onStarted: () => void = () => undefined,
): Promise<Ending> {
  try {
    return await deliver(context, delivery, subscribed, lease, onStarted);
  } catch (error) {
    if (lease.signal.aborted) return { kind: "given_back" };
    context.log.error({ err: error, delivery: toPublicId("dlv", delivery.id) }, "delivering failed in our own code");
    return fail(context, delivery, error instanceof Error ? error.message : String(error));
  }
}

async function attempt(
  context: Context,
  delivery: Delivery,
  subscription: Subscription,
  lease: Lease,
  onStarted: () => void,
): Promise<Ending> {
  const hasSlot = await context.slots.acquire(lease.signal);
  onStarted();
  if (!hasSlot) return { kind: "given_back" };
  // Made before sending, so that recording what was sent twice is harmless.
  const id = newId();
  const startedAt = new Date();
  let result: SendResult;
  try {
    if (!lease.held()) return { kind: "given_back" };
    result = await send(context.agent, requestFor(delivery, subscription, startedAt));
  } finally {
    // The slot counts the request: recording waits for Postgres, not for the network.
    context.slots.release();
  }
  const outcome = classify(result.exchange, Date.now());
  const decision = decide(outcome, delivery.scheduleStep, subscription.schedule, Math.random());
  const trigger = triggerOf(delivery.cycle, delivery.scheduleStep);
  const error = decision.state === "delivered" ? null : (result.error ?? `HTTP ${result.responseStatus}`);
  observeAttempt(context, {
    delivery,
    subscription,
    id,
    trigger,
    startedAt,
    outcome: outcome.kind,
    decision,
    result,
    error,
  });
  const applied = await context.recorder.record({
    delivery,
    move: decision,
    attempt: {
      id,
      trigger,
      startedAt,
      durationMs: result.durationMs,
      responseStatus: result.responseStatus,
      responseBody: result.responseBody,
      error: result.error,
    },
    scheduleStep: delivery.scheduleStep + 1,
    lastError: error,
  });
  if (!applied) {
    context.metrics.superseded.inc();
    return { kind: "settled" };
  }
  count(context, decision);
  if (outcome.kind === "gone") await disableSubscription(context, subscription.id, "gone");
  switch (decision.state) {
    case "delivered":
      return { kind: "settled" };
    case "retrying":
      return { kind: "retrying", delayMs: decision.delayMs, error: error ?? "" };
    case "dead":
      return { kind: "dead", reason: decision.reason, error: error ?? "" };
  }
}

/** A transition without an attempt. */
async function move(context: Context, delivery: Delivery, to: Move, lastError: string | null = null): Promise<Ending> {
  const { scheduleStep } = delivery;
  const applied = await context.recorder.record({ delivery, move: to, attempt: undefined, scheduleStep, lastError });
  if (applied) count(context, to);
  return applied && to.state === "dead"
    ? { kind: "dead", reason: to.reason, error: lastError ?? "" }
    : { kind: "settled" };
}

/** Our own trouble with this one delivery: set apart as a dead letter that says so, and retryable after a fix. */
export function fail(context: Context, delivery: Delivery, problem: string): Promise<Ending> {
  context.log.error(
    { delivery: toPublicId("dlv", delivery.id), problem },
    "a delivery cannot be attempted: dead (internal)",
  );
  return move(context, delivery, { state: "dead", reason: "internal" }, `internal: ${problem}`);
}

function count({ metrics }: Context, to: Move): void {
  metrics.moves.inc({ state: to.state, reason: "reason" in to ? to.reason : "" });
}

function requestFor(delivery: Delivery, subscription: Subscription, now: Date) {
  const id = toPublicId("evt", delivery.eventId);
  const timestamp = Math.floor(now.getTime() / 1000);
  const body = delivery.body!;
  return {
    url: subscription.url,
    headers: {
      ...subscription.headers,
      "content-type": "application/json",
      "user-agent": USER_AGENT,
      "accept-encoding": "identity",
      "webhook-id": id,
      "webhook-timestamp": String(timestamp),
      "webhook-signature": sign(subscription.keys, id, timestamp, body),
    },
    body,
    timeoutMs: subscription.timeoutMs,
  };
}
