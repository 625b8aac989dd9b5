import type { Subscription } from "../delivery.ts";

/** A success that changes nothing else is written once in this time. */
const SUCCESS_INTERVAL_MS = 600_000;
/** A failure that follows another one is written once in this time. */
const FAILURE_INTERVAL_MS = 10_000;
/** For this long, a row that was loaded may be older than what this worker has written. */
const STALE_ROW_MS = 10_000;
/** Subscriptions that are remembered; each takes about 150 bytes. A forgotten one costs one more write. */
const MAX_REMEMBERED = 100_000;

/** What a subscription's row says about its health. */
export type HealthOnRow = Pick<Subscription, "id" | "lastSuccessAt" | "hasFailedSince" | "isFailing">;

/** What this worker has written of a subscription, in milliseconds of `performance.now()`. */
interface Written {
  isLastFailure: boolean;
  successAt: number;
  failureAt: number;
}

/**
 * Decides which outcomes are worth a write. The row says most of it, so a worker that has just started writes no more
 * than the others, and a healthy subscription takes memory only for the success that was written.
 */
export class HealthThrottle {
  readonly #written = new Map<string, Written>();

  /** Whether a success is to be written, which then counts as written. */
  admitsSuccess({ id, lastSuccessAt, hasFailedSince, isFailing }: HealthOnRow, now: number): boolean {
    const written = this.#written.get(id);
    const isOutdated = hasFailedSince || lastSuccessAt === null || now - lastSuccessAt > SUCCESS_INTERVAL_MS;
    const isKnown = written !== undefined && now - written.successAt < STALE_ROW_MS;
    // A row in an outage is always corrected: another worker may have begun the outage after this worker's write.
    if (!isFailing && !written?.isLastFailure && (!isOutdated || isKnown)) return false;
    this.noteSuccess(id, now);
    return true;
  }

  /** Whether a failure is to be written, which then counts as written. */
  admitsFailure(id: string, now: number): boolean {
    const written = this.#written.get(id);
    if (written?.isLastFailure && now - written.failureAt < FAILURE_INTERVAL_MS) return false;
    this.noteFailure(id, now);
    return true;
  }

  noteSuccess(id: string, now: number): void {
    const failureAt = this.#written.get(id)?.failureAt ?? -Infinity;
    this.#remember(id, { isLastFailure: false, successAt: now, failureAt });
  }

  noteFailure(id: string, now: number): void {
    const successAt = this.#written.get(id)?.successAt ?? -Infinity;
    this.#remember(id, { isLastFailure: true, successAt, failureAt: now });
  }

  /** The write was lost: the next outcome is written. */
  forget(id: string): void {
    this.#written.delete(id);
  }

  #remember(id: string, written: Written): void {
    if (this.#written.size >= MAX_REMEMBERED && !this.#written.has(id)) this.#written.clear();
    this.#written.set(id, written);
  }
}
