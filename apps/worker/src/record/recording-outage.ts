import type { Logger } from "@postrider/shared/runtime/telemetry/logger.ts";
import { sqlState } from "@postrider/shared/store/errors.ts";

const LOG_AGAIN_MS = 30_000;

/** What waits to be recorded. */
export interface Backlog {
  waiting: number;
  oldestMs: number;
}

/**
 * The time in which Postgres takes no records. Nothing is sent meanwhile and the lanes take no jobs: every request would
 * add a record that is lost, and a delivery that is sent twice, if this process dies.
 */
export class RecordingOutage {
  readonly #log: Logger;
  readonly #backlog: () => Backlog;
  readonly #listeners = new Set<(isUnderWay: boolean) => void>();
  readonly #waiters = new Set<() => void>();
  #isUnderWay = false;
  #loggedAt = Number.NEGATIVE_INFINITY;

  constructor(log: Logger, backlog: () => Backlog) {
    this.#log = log;
    this.#backlog = backlog;
  }

  get isUnderWay(): boolean {
    return this.#isUnderWay;
  }

  /** Called after every failure. */
  begin(error: unknown): void {
    const now = performance.now();
    if (!this.#isUnderWay || now - this.#loggedAt >= LOG_AGAIN_MS) {
      this.#loggedAt = now;
      this.#log.error(
        { err: error, sqlState: sqlState(error), ...this.#backlog() },
        "could not record attempts; sending nothing until Postgres takes them",
      );
    }
    this.#change(true);
  }

  end(): void {
    if (!this.#isUnderWay) return;
    this.#log.info("attempts are recorded again");
    this.#change(false);
    for (const resume of this.#waiters) resume();
  }

  /** Resolves when no outage is under way, or the signal is aborted. */
  async untilOver(signal: AbortSignal): Promise<void> {
    if (!this.#isUnderWay || signal.aborted) return;
    await new Promise<void>((resolve) => {
      const resume = () => {
        this.#waiters.delete(resume);
        signal.removeEventListener("abort", resume);
        resolve();
      };
      this.#waiters.add(resume);
      signal.addEventListener("abort", resume);
    });
  }

  /** @returns removes the listener */
  onChange(listener: (isUnderWay: boolean) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  #change(isUnderWay: boolean): void {
    if (isUnderWay === this.#isUnderWay) return;
    this.#isUnderWay = isUnderWay;
    for (const listener of this.#listeners) listener(isUnderWay);
  }
}
