import { decide, decideProbe, type Decision } from "@postrider/shared/core/delivery/decision.ts";
import { classify, type Outcome } from "@postrider/shared/core/delivery/outcome.ts";
import { sign } from "@postrider/shared/core/signing.ts";
import type { HeldReason, Trigger } from "@postrider/shared/core/delivery/states.ts";
import { toPublicId } from "@postrider/shared/core/ids/id.ts";
import { newId } from "@postrider/shared/runtime/new-id.ts";
import type { Admission } from "./admission.ts";
import type { Context } from "../context.ts";
import { disableSubscription } from "./disable-subscription.ts";
import { send, type SendResult } from "../http/send.ts";
import type { JobLease } from "../job/lease.ts";
import { loadBodies, type Delivery } from "../load/load-batch.ts";
import type { Subscription } from "../load/load-subscribers.ts";
import { observeAttempt } from "./observe-attempt.ts";
import type { SlotRequest } from "../isolation/slot-pool.ts";
import { USER_AGENT } from "../http/user-agent.ts";

type Admitted = Extract<Admission, { kind: "admitted" }>;

/** How an attempt ended. */
export type Attempted =
  /** Sent and recorded; `applied` is false where the delivery had moved on meanwhile. */
  | { kind: "made"; decision: Decision; applied: boolean; error: string | null }
  /** Not sent: its subscription has no budget left, or its breaker has opened while it waited. */
  | { kind: "held"; reason: HeldReason }
  /** Not sent: the lease ended first, or the probe is somebody else's. */
  | { kind: "given_back" };

/** A lost probe is granted anew this long after its timeout: time to be recorded and reported. */
const PROBE_SLACK_MS = 5_000;
const PROBE = "probe";

/**
 * Waits for its turn, sends, classifies, decides, records, and tells the breaker.
 *
 * @param onStarted called when nobody needs to wait for it: it has started, or its own subscription keeps it waiting
 */
export async function attempt(
  context: Context,
  delivery: Delivery,
  { subscription, breaker }: Admitted,
  trigger: Trigger,
  lease: JobLease,
  onStarted: () => void,
): Promise<Attempted> {
  const { slots, breakerReports, agent } = context;
  const slot = await slots.acquire(slotRequestOf(delivery, subscription, trigger, lease, onStarted));
  onStarted();
  if (slot.kind === "aborted") return { kind: "given_back" };
  if (slot.kind === "rejected") return { kind: "held", reason: slot.reason };
  // Made before sending, so that recording what was sent twice is harmless.
  const id = newId();
  let generation = breaker?.generation;
  let startedAt: Date;
  let beganAt: number;
  let result: SendResult;
  try {
    if (trigger === PROBE) {
      generation = await breakerReports.acquireProbe(subscription.id, subscription.timeoutMs + PROBE_SLACK_MS);
      if (generation === undefined) return { kind: "given_back" };
    } else if (trigger === "auto" && generation !== undefined) {
      generation = breakerReports.currentGeneration(subscription.id, generation);
      if (generation === undefined) return { kind: "held", reason: "breaker" };
    }
    const body = delivery.body ?? (await loadBodies(context.pool, [delivery.eventId])).get(delivery.eventId);
    if (body === undefined) throw new Error("the event is missing");
    if (!lease.isHeld()) return { kind: "given_back" };
    startedAt = new Date();
    beganAt = performance.now();
    result = await send(agent, requestFor(delivery, Buffer.from(body), subscription, startedAt));
  } finally {
    // The slot counts the request: recording waits for Postgres, not for the network.
    slot.release();
  }
  const outcome = classify(result.exchange, Date.now());
  const decision =
    trigger === PROBE
      ? decideProbe(outcome)
      : decide(outcome, delivery.scheduleStep, subscription.schedule, Math.random());
  const error = decision.state === "delivered" ? null : (result.error ?? `HTTP ${result.responseStatus}`);
  observeAttempt(context, { delivery, subscription, id, trigger, startedAt, outcome: outcome.kind, decision, result, error }); // prettier-ignore
  const [applied] = await Promise.all([
    context.recorder.record({
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
      scheduleStep: delivery.scheduleStep + (trigger === PROBE ? 0 : 1),
      lastError: error,
    }),
    tell(context, subscription, { outcome, generation, beganAt, trigger, breaker }),
  ]);
  if (outcome.kind === "gone") await disableSubscription(context, subscription.id, "gone");
  return { kind: "made", decision, applied, error };
}

function slotRequestOf(
  { id: order }: Delivery,
  subscription: Subscription,
  trigger: Trigger,
  { signal }: JobLease,
  onBlocked: () => void,
): SlotRequest {
  const { id, tenant, maxInFlight, rateLimit } = subscription;
  const want = { subscription: id, tenant, order, signal, onBlocked };
  return trigger === PROBE ? { ...want, isProbe: true, maxInFlight: 1, rateLimit: null } : { ...want, maxInFlight, rateLimit }; // prettier-ignore
}

async function tell(
  { breakerReports, metrics, outageClock }: Context,
  { id, isFailing }: Subscription,
  {
    outcome,
    generation,
    beganAt,
    trigger,
    breaker,
  }: Pick<Admitted, "breaker"> & {
    outcome: Outcome;
    generation: number | undefined;
    beganAt: number;
    trigger: Trigger;
  },
): Promise<void> {
  const isProbe = trigger === PROBE;
  if (isProbe) metrics.probes.inc({ result: outcome.kind === "delivered" ? "success" : "failure" });
  if (outcome.kind === "delivered" && isFailing) outageClock.clear(id);
  if (generation === undefined || breaker === undefined) return;
  const wasFailing = breaker.failures > 0 || breaker.state !== "closed";
  await breakerReports.report({
    subscriptionId: id,
    generation,
    isProbe,
    beganAt,
    wasFailing,
    outcome,
  });
}

function requestFor({ eventId }: Delivery, body: Buffer, subscription: Subscription, now: Date) {
  const id = toPublicId("evt", eventId);
  const timestamp = Math.floor(now.getTime() / 1000);
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
