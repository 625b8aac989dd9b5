import { triggerOf } from "@postrider/shared/core/delivery/decision.ts";
import { toPublicId } from "@postrider/shared/core/ids/id.ts";
import { isRefusedStatement, isUnavailable } from "@postrider/shared/store/errors.ts";
import type { Context } from "../context.ts";
import type { Delivery, Result, Subscriber, Work } from "../delivery.ts";
import type { JobLease } from "../job/lease.ts";
import { admit } from "./admission.ts";
import { GIVEN_BACK } from "./apply-transition.ts";
import { attempt } from "./attempt.ts";
import { deadLetter, EVENT_MISSING } from "./dead-letter.ts";
import { refuse } from "./refuse.ts";

/**
 * Attempts a delivery if it is admitted. If that throws (a bug, a value that Postgres refuses), only this delivery is
 * dead-lettered.
 *
 * @throws the error of a statement that Postgres refuses for every delivery, or where an earlier outcome of this one
 *   waits to be recorded; nothing was sent
 * @param onWaitOver called when the request no longer waits for a slot: it has one, or will not be sent now
 */
export async function deliverOrDeadLetter(
  context: Context,
  work: Work,
  lease: JobLease,
  onWaitOver: () => void = () => undefined,
): Promise<Result> {
  const { delivery } = work;
  if (context.recorder.isRecording(delivery.id)) throw new Error("its outcome waits to be recorded");
  try {
    return await deliver(context, work, lease, onWaitOver);
  } catch (error) {
    // Nothing was sent: after sending, the recorder waits for Postgres itself.
    if (lease.signal.aborted || isUnavailable(error)) return GIVEN_BACK;
    if (isRefusedStatement(error)) throw error;
    context.log.error(
      { err: error, delivery: toPublicId("dlv", delivery.id) },
      "could not deliver because of an internal error",
    );
    return deadLetter(context, delivery, error instanceof Error ? error.message : String(error));
  }
}

function deliver(context: Context, work: Work, lease: JobLease, onWaitOver: () => void): Promise<Result> {
  const { delivery, subscriber, trigger = triggerOf(delivery.cycle, delivery.scheduleStep) } = work;
  const admission = admit(subscriber, trigger);
  if (admission.kind === "admitted" && delivery.hasEvent) {
    return attempt(context, delivery, admission, trigger, lease, onWaitOver);
  }
  onWaitOver();
  return delivery.hasEvent && admission.kind !== "admitted"
    ? refuse(context, delivery, trigger, admission)
    : deadLetter(context, delivery, EVENT_MISSING);
}

/** Whether a delivery needs its body before it waits for a slot. A released one may wait for minutes, so it does not. */
export const lacksBody = (delivery: Delivery, subscriber: Subscriber): boolean =>
  delivery.body === null &&
  !delivery.isReleased &&
  delivery.hasEvent &&
  admit(subscriber, triggerOf(delivery.cycle, delivery.scheduleStep)).kind === "admitted";
