import type { SharedBreaker } from "@postrider/shared/breaker/breakers.ts";
import { maskCredentials } from "@postrider/shared/core/sensitive-headers.ts";
import { decide, decideProbe } from "@postrider/shared/core/delivery/decision.ts";
import { classify, type Outcome } from "@postrider/shared/core/delivery/outcome.ts";
import type { Trigger } from "@postrider/shared/core/delivery/states.ts";
import type { Transition } from "@postrider/shared/core/delivery/transitions.ts";
import { newId } from "@postrider/shared/runtime/new-id.ts";
import { markProbed } from "@postrider/shared/store/sql/mark-probed.ts";
import { now } from "@postrider/shared/runtime/clock.ts";
import type { Context } from "../context.ts";
import type { Attempt, Delivery, Result, Subscription } from "../delivery.ts";
import { send, type Exchange } from "../http/send.ts";
import { signedRequest } from "../http/signed-request.ts";
import type { SlotRequest, SlotResult } from "../isolation/slot-pool.ts";
import type { JobLease } from "../job/lease.ts";
import { admit, type Admission, type Admitted, type Refusal } from "./admission.ts";
import { afterTransition, applyTransition, countTransition, DONE, GIVEN_BACK } from "./apply-transition.ts";
import { EVENT_MISSING } from "./dead-letter.ts";
import { disableSubscription } from "./disable-subscription.ts";
import { observeAttempt } from "./observe-attempt.ts";
import { postpone, type Postponed } from "./postpone.ts";
import { refuse } from "./refuse.ts";
import { reportHealth } from "./report-health.ts";

/** The attempt that was made, and the subscription as it was sent to. */
interface Sent {
  attempt: Attempt;
  subscription: Subscription;
}

/** Why nothing was sent. */
interface NotSent {
  admission: Refusal | "given_back";
}

/** A success proves a subscription for this long. */
const PROVEN_FOR_MS = 24 * 60 * 60_000;
/** A request that has waited for its slot for longer reads its subscription again. */
const MAX_SUBSCRIBER_AGE_MS = 1_000;
/** A probe counts as lost this long after its timeout, which leaves time to record and report it. */
const PROBE_SLACK_MS = 5_000;

/**
 * Makes one attempt: acquires a slot, reads the body where the delivery comes without it, sends, decides by the outcome,
 * and records.
 *
 * @param onWaitOver called when the request no longer waits for a slot: it has one, or will not be sent now
 */
export async function attempt(
  context: Context,
  delivery: Delivery,
  admitted: Admitted,
  trigger: Trigger,
  lease: JobLease,
  onWaitOver: () => void,
): Promise<Result> {
  const slot = await acquireSlot(context, slotRequestOf(delivery, admitted, trigger, lease.signal));
  onWaitOver();
  if (slot.kind === "aborted") return GIVEN_BACK;
  if (slot.kind === "rejected") return applyTransition(context, delivery, { state: "held", reason: slot.reason });
  let sent: Sent | NotSent | Postponed | undefined;
  try {
    const [current, body] = await Promise.all([
      slot.waitedMs > MAX_SUBSCRIBER_AGE_MS ? admitAgain(context, admitted.subscription.id, trigger) : admitted,
      delivery.body ?? context.loadBody(delivery),
    ]);
    if (current.kind !== "admitted") sent = { admission: current };
    else if (body === null) sent = { admission: { kind: "broken", problem: EVENT_MISSING } };
    else sent = await sendNow(context, delivery, body, current, trigger, lease);
  } finally {
    // A slot counts a request. It is not kept while the attempt waits to be recorded.
    const exchange = sent && "attempt" in sent ? sent.attempt.exchange : undefined;
    slot.release(exchange?.responseStatus, exchange?.durationMs);
  }
  if ("attempt" in sent) return decideAndRecord(context, delivery, sent.subscription, sent.attempt);
  if ("retryInMs" in sent) return postpone(context, delivery, trigger, sent);
  return sent.admission === "given_back" ? GIVEN_BACK : refuse(context, delivery, trigger, sent.admission);
}

/** Nothing is sent while it could not be recorded. A slot is not kept meanwhile: it counts a request. */
async function acquireSlot({ slots, recorder: { outage } }: Context, request: SlotRequest): Promise<SlotResult> {
  const since = performance.now();
  let slot = await slots.acquire(request);
  while (slot.kind === "granted" && outage.isUnderWay) {
    slot.release(undefined);
    await outage.untilOver(request.signal);
    slot = await slots.acquire(request);
    if (slot.kind === "granted") slot.waitedMs = performance.now() - since;
  }
  return slot;
}

/** The subscription may have been changed, paused or deleted, and its secret rotated, while the request waited. */
async function admitAgain(
  { refreshSubscriber }: Context,
  subscriptionId: string,
  trigger: Trigger,
): Promise<Admission> {
  return admit(await refreshSubscriber(subscriptionId), trigger);
}

function slotRequestOf(
  { id: order, isReleased, bodyBytes: bytes }: Delivery,
  { subscription, breaker }: Admitted,
  trigger: Trigger,
  signal: AbortSignal,
): SlotRequest {
  const { id, tenant, maxInFlight, lastSuccessAt, isFailing } = subscription;
  const isProbe = trigger === "probe";
  return {
    subscription: id,
    tenant,
    order,
    bytes,
    signal,
    isProbe,
    isManual: trigger === "manual",
    isProven: !isFailing && lastSuccessAt !== null && performance.now() - lastSuccessAt < PROVEN_FOR_MS,
    canBeHeld: !isProbe && !isReleased,
    maxInFlight: isProbe ? 1 : maxInFlight,
    ...(isProbe
      ? { rate: null, rateLimitName: "rate_limit" }
      : rateOf(subscription, trigger === "auto" ? breaker : undefined)),
  };
}

/** The lower of a subscription's rate limit and its pace. */
function rateOf(
  { rateLimit }: Subscription,
  breaker: SharedBreaker | undefined,
): Pick<SlotRequest, "rate" | "rateLimitName"> {
  const pace = breaker?.pace ?? 0;
  return pace > 0 && (rateLimit === null || pace < rateLimit)
    ? { rate: pace, rateLimitName: "pace" }
    : { rate: rateLimit, rateLimitName: "rate_limit" };
}

/**
 * Sends the request, unless the breaker has opened or the lease has ended while it waited for its slot. A probe is sent
 * only where the breaker grants it, which is asked last: a granted probe that is not sent would keep the breaker half
 * open for as long as a request may take.
 */
async function sendNow(
  { breakerReports, agent, pool }: Context,
  { id: deliveryId, eventId }: Delivery,
  body: string,
  { subscription }: Admitted,
  trigger: Trigger,
  lease: JobLease,
): Promise<Sent | NotSent | Postponed> {
  if (trigger === "probe") {
    const leaseMs = subscription.timeoutMs + PROBE_SLACK_MS;
    if (!(await markProbed(pool, deliveryId)) || !lease.isHeld()) return { admission: "given_back" };
    if (!(await breakerReports.acquireProbe(subscription.id, leaseMs))) return { admission: "given_back" };
  } else if (trigger === "auto" && breakerReports.isNotClosed(subscription.id)) {
    return { admission: { kind: "held", reason: "breaker" } };
  }
  if (!lease.isHeld()) return { admission: "given_back" };
  const id = newId();
  const startedAt = new Date(now());
  const startedAtMs = performance.now();
  const exchange = await send(agent, signedRequest(subscription, eventId, Buffer.from(body), startedAt));
  if (exchange.responseBody) exchange.responseBody = maskCredentials(exchange.responseBody, subscription.headers);
  if (exchange.retryInMs !== null) return { retryInMs: exchange.retryInMs, problem: exchange.error ?? "" };
  return { subscription, attempt: { id, trigger, startedAt, startedAtMs, exchange } };
}

/** Decides the delivery's next state, and records it with the attempt. */
async function decideAndRecord(
  context: Context,
  delivery: Delivery,
  subscription: Subscription,
  sent: Attempt,
): Promise<Result> {
  const { id, trigger, startedAt, exchange } = sent;
  const outcome = classify(exchange, now());
  const transition = transitionAfter(outcome, delivery, subscription, trigger);
  const error = errorOf(transition, exchange);
  observeAttempt(context, { delivery, subscription, attempt: sent, outcome, transition, error });
  const [applied] = await Promise.all([
    context.recorder.record({
      delivery,
      transition,
      attempt: {
        id,
        trigger,
        startedAt,
        durationMs: exchange.durationMs,
        responseStatus: exchange.responseStatus,
        responseBody: exchange.responseBody,
        error: exchange.error,
      },
      scheduleStep: delivery.scheduleStep + (trigger === "probe" ? 0 : 1),
      lastError: error,
    }),
    reportHealth(context, delivery, subscription, sent, outcome, error),
  ]);
  if (outcome.kind === "gone") await disableSubscription(context, subscription, "gone");
  if (!applied) {
    context.metrics.superseded.inc();
    return DONE;
  }
  // A failed probe leaves the delivery held, which is no transition.
  if (transition.state !== "held") countTransition(context, transition);
  return afterTransition(context, delivery, transition, error ?? "");
}

const transitionAfter = (
  outcome: Outcome,
  { scheduleStep }: Delivery,
  { schedule }: Subscription,
  trigger: Trigger,
): Transition => (trigger === "probe" ? decideProbe(outcome) : decide(outcome, scheduleStep, schedule, Math.random()));

const errorOf = ({ state }: Transition, { error, responseStatus }: Exchange): string | null =>
  state === "delivered" ? null : responseStatus === null ? error : `HTTP ${responseStatus}`;
