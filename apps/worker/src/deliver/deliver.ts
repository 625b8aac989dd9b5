import { triggerOf } from "@postrider/shared/core/delivery/decision.ts";
import { isUnavailable } from "@postrider/shared/store/errors.ts";
import type { DeadReason } from "@postrider/shared/core/delivery/states.ts";
import { toPublicId } from "@postrider/shared/core/ids/id.ts";
import { admit } from "./admission.ts";
import { attempt, type Attempted } from "./attempt.ts";
import type { Context } from "../context.ts";
import type { JobLease } from "../job/lease.ts";
import type { Delivery, Work } from "../delivery.ts";
import type { Transition } from "@postrider/shared/core/delivery/transitions.ts";

/** What a lane has to do once it is recorded. */
export type Ending =
  /** Delivered, held or cancelled, or somebody else's by now: the lane is done with it. */
  | { kind: "settled" }
  | { kind: "retrying"; delayMs: number; error: string }
  | { kind: "dead"; reason: DeadReason; error: string }
  /** Nothing was sent, because the lease ended first: the delivery is where it was. */
  | { kind: "given_back" };

/** Takes one delivery through admit, send, classify, decide and record; see deliverOrDeadLetter. */
async function deliver(context: Context, work: Work, lease: JobLease, onStarted: () => void): Promise<Ending> {
  const { delivery, subscriber, trigger = triggerOf(delivery.cycle, delivery.scheduleStep) } = work;
  const admission = admit(subscriber, trigger);
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
      return conclude(context, delivery, await attempt(context, delivery, admission, trigger, lease, onStarted));
  }
}

/**
 * Delivers, and where that throws (a bug, a value that Postgres refuses) the one delivery is set apart and its neighbours go on.
 *
 * @param onStarted called when nobody needs to wait for it: it is on the wire, or will not be sent now, or its own
 *   subscription keeps it waiting
 */
export async function deliverOrDeadLetter(
  context: Context,
  work: Work,
  lease: JobLease,
  onStarted: () => void = () => undefined,
): Promise<Ending> {
  const { delivery } = work;
  try {
    return await deliver(context, work, lease, onStarted);
  } catch (error) {
    // Before anything was sent, that is: the recorder waits for Postgres by itself.
    if (lease.signal.aborted || isUnavailable(error)) return { kind: "given_back" };
    context.log.error({ err: error, delivery: toPublicId("dlv", delivery.id) }, "delivering failed in our own code");
    return fail(context, delivery, error instanceof Error ? error.message : String(error));
  }
}

async function conclude(context: Context, delivery: Delivery, attempted: Attempted): Promise<Ending> {
  switch (attempted.kind) {
    case "given_back":
      return { kind: "given_back" };
    case "held":
      return move(context, delivery, { state: "held", reason: attempted.reason });
    case "made": {
      const { transition, applied, error } = attempted;
      if (!applied) {
        context.metrics.superseded.inc();
        return { kind: "settled" };
      }
      // A failed probe leaves it held.
      if (transition.state !== "held") count(context, transition);
      return endingOf(context, delivery, transition, error ?? "");
    }
  }
}

/** A transition without an attempt. */
async function move(
  context: Context,
  delivery: Delivery,
  to: Transition,
  lastError: string | null = null,
): Promise<Ending> {
  const { scheduleStep } = delivery;
  const applied = await context.recorder.record({
    delivery,
    transition: to,
    attempt: undefined,
    scheduleStep,
    lastError,
  });
  if (!applied) return { kind: "settled" };
  count(context, to);
  return endingOf(context, delivery, to, lastError ?? "");
}

function endingOf(context: Context, delivery: Delivery, to: Transition, error: string): Ending {
  switch (to.state) {
    case "retrying":
      return { kind: "retrying", delayMs: to.delayMs, error };
    case "dead":
      return { kind: "dead", reason: to.reason, error };
    case "held":
      // What is paused or disabled is released by whoever resumes or enables it.
      if (to.reason !== "paused" && to.reason !== "disabled") context.startRelease(delivery.subscriptionId);
      return { kind: "settled" };
    case "delivered":
    case "cancelled":
      return { kind: "settled" };
  }
}

/** Our own trouble with this one delivery: set apart as a dead letter that says so, and retryable after a fix. */
export function fail(context: Context, delivery: Delivery, problem: string): Promise<Ending> {
  context.log.error(
    { delivery: toPublicId("dlv", delivery.id), problem },
    "a delivery cannot be attempted: dead (internal)",
  );
  return move(context, delivery, { state: "dead", reason: "internal" }, `internal: ${problem}`);
}

function count({ metrics }: Context, to: Transition): void {
  metrics.moves.inc({ state: to.state, reason: "reason" in to ? to.reason : "" });
}
