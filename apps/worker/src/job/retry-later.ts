/** Thrown by a job that must run again after a delay of its own. */
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

/** The delay of a job that failed for an internal reason, and not because of its subscriber. */
export const INTERNAL_RETRY_MS = 1_000;

/**
 * BullMQ passes the error that the job threw, which carries the delay. This function must not throw: that would leave
 * the job active until the stalled check.
 */
export const backoffStrategy = (_attemptsMade: number, _type?: string, error?: Error): number =>
  error instanceof RetryLater ? Math.ceil(error.delayMs) : INTERNAL_RETRY_MS;
