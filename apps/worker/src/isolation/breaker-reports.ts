import type { Breakers, SharedBreaker } from "@postrider/shared/breaker/breakers.ts";
import type { BreakerState } from "@postrider/shared/core/breaker.ts";
import type { HealthEvent } from "@postrider/shared/core/health.ts";
import { MAX_RETRY_AFTER_MS } from "@postrider/shared/core/delivery/retry-schedule.ts";
import type { Outcome } from "@postrider/shared/core/delivery/outcome.ts";
import type { Trigger } from "@postrider/shared/core/delivery/states.ts";

/** An attempt's outcome, as its subscription's breaker and pace need it. */
export interface Report {
  subscriptionId: string;
  deliveryId: string;
  trigger: Trigger;
  /** When the request was sent. Milliseconds of `performance.now()`. */
  sentAt: number;
  outcome: Outcome;
  /**
   * What the subscription's row says, in milliseconds of `performance.now()`: other workers' successes too, but written
   * at most once in ten minutes.
   */
  lastSuccessAt: number | null;
  responseStatus: number | null;
  /** Whether deliveries of the subscription wait in this worker. */
  isWaiting: boolean;
}

/**
 * They are an argument of each statement that loads a batch, 11 kB for 300. A batch of 100 reads 100 breakers at most,
 * so they include those of the last three batches. The others' bodies are read in vain.
 */
const MAX_NOT_CLOSED = 300;
/** Subscriptions whose last success is remembered; each takes about 100 bytes. */
const MAX_LAST_SUCCESSES = 100_000;

/** A subscription to read the breaker of. */
interface Reading {
  id: string;
  /** According to its row, the breaker has opened and no success followed. */
  isFailing: boolean;
}

/**
 * Reads breakers and paces, and reports outcomes to them. A healthy subscription costs Redis nothing: its successes are
 * not reported, and its breaker is not read. Failures are always reported. Once a second the worker reads the set of
 * watched subscriptions, and reports the successes of those.
 */
export interface BreakerReports {
  /** The breakers of the watched and failing ones among these subscriptions. Empty while Redis is unreachable. */
  read(subscriptions: readonly Reading[]): Promise<ReadonlyMap<string, SharedBreaker>>;
  /** Whether the subscription's breaker was open or half open when last read. */
  isNotClosed(subscriptionId: string): boolean;
  /** Subscriptions whose breaker was not closed when last read; of more than MAX_NOT_CLOSED, the last read ones. */
  notClosed(): string[];
  /** Subscriptions whose breaker was not closed when read within the last second. */
  recentlyOpened(): Iterable<string>;
  /** @returns whether the probe is granted */
  acquireProbe(subscriptionId: string, leaseMs: number): Promise<boolean>;
  report(report: Report): Promise<void>;
  close(): void;
}

/** Successes of watched subscriptions are coalesced for 100 ms. A pending success is always reported before a failure. */
const COALESCE_MS = 100;
/** How often the worker reads the set of watched subscriptions. */
const LEARN_MS = 1_000;
/** How long a read breaker counts as recent. */
const RECENT_MS = 1_000;

interface Watched {
  seenAt: number;
  state: BreakerState;
}

interface Successes {
  count: number;
  sentAt: number;
  isWaiting: boolean;
}

/** @param onTransition called when a report of this worker changed a breaker's state; it must not throw */
export function createBreakerReports(
  breakers: Breakers,
  onTransition: (subscriptionId: string, state: BreakerState) => void,
): BreakerReports {
  const watched = new Map<string, Watched>();
  /** When each subscription last succeeded in this worker, in milliseconds of `performance.now()`. */
  const lastSuccesses = new Map<string, number>();
  /** Unreported successes of watched subscriptions. */
  const successes = new Map<string, Successes>();
  let timer: NodeJS.Timeout | undefined;
  /** When the set of watched subscriptions was last read. */
  let learnedAt = performance.now();
  const learning = setInterval(() => void learn(), LEARN_MS).unref();

  /** Keeps the map in the order of reading, the last read one at its end. */
  function remember(id: string, { state, changed }: SharedBreaker): void {
    watched.delete(id);
    watched.set(id, { state, seenAt: performance.now() });
    if (changed) onTransition(id, state);
  }

  async function learn(): Promise<void> {
    const now = performance.now();
    // While Redis is unreachable the previous set stays valid.
    const ids = await breakers.watched().then(
      (found) => new Set(found),
      () => undefined,
    );
    if (!ids) return;
    for (const [id, { seenAt }] of watched) if (seenAt < now && !ids.has(id)) watched.delete(id);
    for (const id of ids) {
      if (watched.has(id)) continue;
      watched.set(id, { state: "closed", seenAt: now });
      const agoMs = performance.now() - (lastSuccesses.get(id) ?? Number.NEGATIVE_INFINITY);
      // It succeeded when nobody here knew yet that this matters.
      if (agoMs < now - learnedAt)
        void apply(id, { kind: "success", sentAgoMs: agoMs, agoMs, successes: 0, isWaiting: false });
    }
    learnedAt = now;
  }

  async function apply(id: string, event: HealthEvent): Promise<SharedBreaker | undefined> {
    try {
      const breaker = await breakers.apply(id, event);
      remember(id, breaker);
      return breaker;
    } catch {
      // Redis is unreachable. Drop the report: a receiver that keeps failing is reported again.
      return undefined;
    }
  }

  async function reportSuccesses(id: string): Promise<void> {
    const pending = successes.get(id);
    successes.delete(id);
    if (!pending) return;
    const { count, sentAt, isWaiting } = pending;
    await apply(id, { kind: "success", sentAgoMs: performance.now() - sentAt, agoMs: 0, successes: count, isWaiting });
  }

  function reportAllSuccesses(): void {
    timer = undefined;
    for (const id of successes.keys()) void reportSuccesses(id);
  }

  async function succeeded({ subscriptionId: id, trigger, sentAt, isWaiting }: Report): Promise<void> {
    if (lastSuccesses.size >= MAX_LAST_SUCCESSES && !lastSuccesses.has(id)) lastSuccesses.clear();
    lastSuccesses.set(id, performance.now());
    const known = watched.get(id);
    if (!known && trigger === "auto") return;
    const pending = successes.get(id) ?? { count: 0, sentAt, isWaiting: false };
    // Probes and manual attempts don't depend on load.
    const count = pending.count + (trigger === "auto" ? 1 : 0);
    successes.set(id, { count, sentAt: Math.max(pending.sentAt, sentAt), isWaiting: pending.isWaiting || isWaiting });
    if (trigger !== "auto" || known?.state !== "closed") return reportSuccesses(id);
    timer ??= setTimeout(reportAllSuccesses, COALESCE_MS);
  }

  function lastSuccessAgoMs({ subscriptionId, lastSuccessAt }: Report): number | undefined {
    // Another worker's success may be on the row, and newer.
    const at = Math.max(lastSuccesses.get(subscriptionId) ?? -Infinity, lastSuccessAt ?? -Infinity);
    return at === -Infinity ? undefined : performance.now() - at;
  }

  async function failed(report: Report, retryAfterMs: number): Promise<void> {
    const { subscriptionId: id, trigger, sentAt, responseStatus, isWaiting } = report;
    // Keep the order of outcomes: a success resets the count of failures.
    void reportSuccesses(id);
    const now = performance.now();
    const isRefusal = refusesPayload(responseStatus);
    await apply(id, {
      kind: "failure",
      sentAgoMs: now - sentAt,
      isProbe: trigger === "probe",
      countsForPace: trigger === "auto",
      isWaiting,
      lastSuccessAgoMs: lastSuccessAgoMs(report),
      refused: isRefusal && trigger !== "probe" ? report.deliveryId : undefined,
      retryAfterMs: Math.min(retryAfterMs, MAX_RETRY_AFTER_MS),
    });
  }

  return {
    async read(subscriptions) {
      const ids = subscriptions.filter(({ id, isFailing }) => isFailing || watched.has(id)).map(({ id }) => id);
      try {
        const found = await breakers.read(ids);
        for (const [index, breaker] of found.entries()) remember(ids[index]!, breaker);
        return new Map(found.map((breaker, index) => [ids[index]!, breaker]));
      } catch {
        return new Map();
      }
    },
    isNotClosed: (id) => (watched.get(id)?.state ?? "closed") !== "closed",
    notClosed: () =>
      Array.from(watched)
        .filter(([, { state }]) => state !== "closed")
        .slice(-MAX_NOT_CLOSED)
        .map(([id]) => id),
    *recentlyOpened() {
      const since = performance.now() - RECENT_MS;
      for (const [id, { state, seenAt }] of watched) if (state !== "closed" && seenAt > since) yield id;
    },
    async acquireProbe(id, leaseMs) {
      return (await apply(id, { kind: "probe", leaseMs }))?.changed ?? false;
    },
    async report(report) {
      const { outcome, trigger } = report;
      switch (outcome.kind) {
        case "delivered":
          return succeeded(report);
        case "retryable":
          return failed(report, outcome.retryAfterMs ?? 0);
        case "gone":
          return failed(report, 0);
        case "blocked":
          // Nothing was sent, so the receiver's state is unknown. A probe has to end, and counts as a failure.
          return trigger === "probe" ? failed(report, 0) : undefined;
      }
    },
    close: () => clearInterval(learning),
  };
}

/** A 4xx other than 408, 425 and 429: the receiver is alive and refuses this payload. */
const refusesPayload = (status: number | null): boolean =>
  status !== null && status >= 400 && status <= 499 && ![408, 425, 429].includes(status);
