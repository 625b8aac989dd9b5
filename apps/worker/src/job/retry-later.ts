/** Thrown by a job that has to run again after a delay that BullMQ cannot know. */
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

/** How long a job waits that failed for an internal reason, and not because of its subscriber. */
export const INTERNAL_RETRY_MS = 1_000;

/**
 * BullMQ passes the thrown error, and so the delay that it carries. A strategy that throws would leave the job active
 * until the stalled check, so this one cannot.
 */
export const backoffStrategy = (_attemptsMade: number, _type?: string, error?: Error): number =>
  error instanceof RetryLater ? Math.ceil(error.delayMs) : INTERNAL_RETRY_MS;
