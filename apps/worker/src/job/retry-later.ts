/** Thrown by a job that shall run again after a delay that BullMQ could not know. */
export class RetryLater extends Error {
  readonly delayMs: number;

  constructor(message: string, delayMs: number) {
    super(message);
    this.name = "RetryLater";
    this.delayMs = delayMs;
  }
}

/** A release waits for the end of its breaker's cooldown. */
export class BreakerNotClosed extends RetryLater {}

/** Wait before a job is tried again that failed for a reason of ours and not the subscriber's. */
export const OWN_TROUBLE_MS = 1_000;

/**
 * BullMQ is given the thrown error, and so the delay that it carries.
 * A strategy that throws would leave the job active until the stalled check, so this one cannot.
 */
export const backoffStrategy = (_attemptsMade: number, _type?: string, error?: Error): number =>
  error instanceof RetryLater ? Math.ceil(error.delayMs) : OWN_TROUBLE_MS;
