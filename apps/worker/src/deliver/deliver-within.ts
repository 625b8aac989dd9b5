import type { Context } from "../context.ts";
import type { Result, Work } from "../delivery.ts";
import type { JobLease } from "../job/lease.ts";
import { RetryLater } from "../job/retry-later.ts";
import { deliverOrDeadLetter } from "./deliver.ts";

interface Patience {
  /** How long the delivery may wait for its slot. */
  maxWaitMs: number;
  /** How long its job is put back for then. */
  putBackMs: () => number;
}

/**
 * Attempts a delivery whose job keeps a place of its lane while it waits for a slot, so it waits for a short time only.
 *
 * @param onWaitOver as in deliverOrDeadLetter()
 * @throws RetryLater if it has waited too long; nothing was sent
 */
export async function deliverWithin(
  context: Context,
  work: Work,
  lease: JobLease,
  { maxWaitMs, putBackMs }: Patience,
  onWaitOver: () => void,
): Promise<Result> {
  const tooLong = new AbortController();
  const timer = setTimeout(() => tooLong.abort(), maxWaitMs);
  let isWaiting = true;
  const endWait = () => {
    if (!isWaiting) return;
    isWaiting = false;
    clearTimeout(timer);
    onWaitOver();
  };
  const signal = AbortSignal.any([lease.signal, tooLong.signal]);
  try {
    const result = await deliverOrDeadLetter(context, work, { signal, isHeld: () => lease.isHeld() }, endWait);
    if (result.kind === "given_back" && tooLong.signal.aborted) throw new RetryLater("no slot yet", putBackMs());
    return result;
  } finally {
    endWait();
  }
}
