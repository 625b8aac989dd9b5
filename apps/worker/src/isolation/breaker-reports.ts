import type { Breakers, SharedBreaker } from "@postrider/shared/breaker/breakers.ts";
import type { BreakerState } from "@postrider/shared/core/breaker.ts";
import type { HealthEvent } from "@postrider/shared/core/health.ts";
import { MAX_RETRY_AFTER_MS } from "@postrider/shared/core/delivery/retry-schedule.ts";
import type { Outcome } from "@postrider/shared/core/delivery/outcome.ts";
import type { Trigger } from "@postrider/shared/core/delivery/states.ts";

/** An attempt's outcome, for its subscription's breaker and pace. */
export interface Report {
  subscriptionId: string;
  deliveryId: string;
  trigger: Trigger;
  /** When the request was sent. Milliseconds of `performance.now()`. */
  sentAt: number;
  outcome: Outcome;
  /** What the subscription's row says, for a worker that has seen no success itself. */
  lastSuccessAt: Date | null;
  responseStatus: number | null;
  /** Whether deliveries of the subscription wait for its pace in this worker. */
  isWaiting: boolean;
}

/** Subscriptions whose last success is remembered; each takes about 100 bytes. */
const MAX_LAST_SUCCESSES = 100_000;

/** A subscription whose breaker is to be read. */
interface Reading {
  id: string;
  /** Its row says that the breaker has opened with no success since. */
  isFailing: boolean;
}

/**
 * This worker's view of its subscriptions' breakers and paces, and its reports to them. A healthy subscription costs
 * Redis nothing: its successes are not reported, and its breaker is not read. Failures are always reported; once a
 * second the worker learns which subscriptions are watched, and reports the successes of those.
 */
export interface BreakerReports {
  /** The breakers of those subscriptions that are watched or failing. Empty while Redis is unreachable. */
  read(subscriptions: readonly Reading[]): Promise<ReadonlyMap<string, SharedBreaker>>;
  /** Whether the subscription's breaker was open or half open when it was last seen. */
  isNotClosed(subscriptionId: string): boolean;
  /** Subscriptions whose breaker is not closed, as last seen. */
  notClosed(): Iterable<string>;
  /** Those of them whose breaker was seen within the last second. */
  recentlyOpened(): Iterable<string>;
  /** @returns whether the probe is granted */
  acquireProbe(subscriptionId: string, leaseMs: number): Promise<boolean>;
  report(report: Report): Promise<void>;
  close(): void;
}

/** Successes of watched subscriptions are coalesced for 100 ms. A pending success is always reported before a failure. */
const COALESCE_MS = 100;
/** How often the worker learns which subscriptions are watched. */
const LEARN_MS = 1_000;
/** How long a breaker that was seen counts as recently seen. */
const RECENT_MS = 1_000;
/** A subscription is forgotten when nothing was heard of it for this long: its row and the next failure bring it back. */
const WATCH_MS = 60_000;

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
  const learning = setInterval(() => void learn(), LEARN_MS).unref();

  /** Longest unseen first: an entry that is seen again moves to the end. */
  function remember(id: string, { state, changed }: SharedBreaker): void {
    watched.delete(id);
    watched.set(id, { state, seenAt: performance.now() });
    if (changed) onTransition(id, state);
  }

  async function learn(): Promise<void> {
    const now = performance.now();
    for (const [id, { seenAt }] of watched) {
      if (now - seenAt < WATCH_MS) break;
      watched.delete(id);
    }
    // Redis may be unreachable: what was learned last stands.
    const ids = await breakers.watched().catch(() => []);
    for (const id of ids) if (!watched.has(id)) watched.set(id, { state: "closed", seenAt: now });
  }

  async function apply(id: string, event: HealthEvent): Promise<SharedBreaker | undefined> {
    try {
      const breaker = await breakers.apply(id, event);
      remember(id, breaker);
      return breaker;
    } catch {
      // Redis is unreachable. The report is dropped: later outcomes show the same.
      return undefined;
    }
  }

  async function reportSuccesses(id: string): Promise<void> {
    const pending = successes.get(id);
    successes.delete(id);
    if (!pending) return;
    const { count, sentAt, isWaiting } = pending;
    await apply(id, { kind: "success", sentAgoMs: performance.now() - sentAt, successes: count, isWaiting });
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
    // Probes and manual attempts say nothing about load.
    const count = pending.count + (trigger === "auto" ? 1 : 0);
    successes.set(id, { count, sentAt: Math.max(pending.sentAt, sentAt), isWaiting: pending.isWaiting || isWaiting });
    if (trigger !== "auto" || known?.state !== "closed") return reportSuccesses(id);
    timer ??= setTimeout(reportAllSuccesses, COALESCE_MS);
  }

  function lastSuccessAgoMs({ subscriptionId, lastSuccessAt }: Report): number | undefined {
    const seenAt = lastSuccesses.get(subscriptionId);
    if (seenAt !== undefined) return performance.now() - seenAt;
    return lastSuccessAt === null ? undefined : Math.max(0, Date.now() - lastSuccessAt.getTime());
  }

  async function failed(report: Report, retryAfterMs: number): Promise<void> {
    const { subscriptionId: id, trigger, sentAt, responseStatus, isWaiting } = report;
    // In the order in which they happened: a success in between ends the row of failures.
    void reportSuccesses(id);
    const now = performance.now();
    const isRefusal = refusesPayload(responseStatus);
    await apply(id, {
      kind: "failure",
      sentAgoMs: now - sentAt,
      isProbe: trigger === "probe",
      countsForPace: trigger === "auto" && !isRefusal,
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
    *notClosed() {
      for (const [id, { state }] of watched) if (state !== "closed") yield id;
    },
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
          // Nothing was sent, so the receiver is unknown. For a probe that counts as a failure.
          return trigger === "probe" ? failed(report, 0) : undefined;
      }
    },
    close: () => clearInterval(learning),
  };
}

/** A 4xx other than 408, 425 and 429: the receiver is alive and refuses this payload. */
const refusesPayload = (status: number | null): boolean =>
  status !== null && status >= 400 && status <= 499 && ![408, 425, 429].includes(status);
