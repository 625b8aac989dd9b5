import type { Breakers, SharedBreaker } from "@postrider/shared/breaker/breakers.ts";
import type { BreakerEvent, BreakerState } from "@postrider/shared/core/breaker.ts";
import type { Outcome } from "@postrider/shared/core/delivery/outcome.ts";
import { MAX_RETRY_AFTER_MS } from "@postrider/shared/core/delivery/retry-schedule.ts";

/** An attempt's outcome, for its subscription's breaker. */
interface Report {
  subscriptionId: string;
  /** The breaker's generation that the request was sent in. */
  generation: number;
  isProbe: boolean;
  /** When the request began. Milliseconds of `performance.now()`. */
  beganAt: number;
  /** Whether the breaker counted failures, or was not closed, when it was read: then a success changes it. */
  wasFailing: boolean;
  outcome: Outcome;
}

/** This worker's view of its subscriptions' breakers, and its reports to them. */
export interface BreakerReports {
  /** The breakers of these subscriptions. Empty while Redis is unreachable. */
  read(subscriptionIds: readonly string[]): Promise<ReadonlyMap<string, SharedBreaker>>;
  /**
   * The generation to send a request in, for a breaker that was closed when it was read: a later one where this worker
   * has seen since that it opened and closed again.
   *
   * @returns undefined where the breaker is no longer closed, so that the request must not be sent
   */
  currentGeneration(subscriptionId: string, generation: number): number | undefined;
  /** Subscriptions whose breaker is not closed, as last seen. */
  notClosed(): Iterable<string>;
  /** Those of them whose breaker was seen within the last second. */
  recentlyOpened(): Iterable<string>;
  /** @returns the probe's generation, or undefined where it is not granted */
  acquireProbe(subscriptionId: string, leaseMs: number): Promise<number | undefined>;
  report(report: Report): Promise<void>;
}

/** Successes that change nothing are coalesced for 100 ms. A pending success is always reported before a failure. */
const COALESCE_MS = 100;
/** How long a breaker that was seen counts as recently seen. */
const RECENT_MS = 1_000;
/** More breakers than this are not remembered here. They are still read with every batch. */
const MAX_REMEMBERED = 10_000;
/** A closed breaker is remembered for longer than a delivery that was loaded before it opened can wait for its slot. */
const REMEMBER_CLOSED_MS = 60_000;

interface Seen {
  generation: number;
  seenAt: number;
}

/** @param onTransition called when a report of this worker changed a breaker's state; it must not throw */
export function createBreakerReports(
  breakers: Breakers,
  onTransition: (subscriptionId: string, state: BreakerState) => void,
): BreakerReports {
  const notClosed = new Map<string, Seen>();
  /** Closed breakers that have opened before, longest unseen first. */
  const closed = new Map<string, Seen>();
  /** The latest unreported success of each subscription; earlier ones would change nothing more. */
  const successes = new Map<string, Sent>();
  let timer: NodeJS.Timeout | undefined;

  function remember(id: string, { state, generation, changed }: SharedBreaker): void {
    const seenAt = performance.now();
    notClosed.delete(id);
    closed.delete(id);
    if (state !== "closed") {
      if (notClosed.size < MAX_REMEMBERED) notClosed.set(id, { generation, seenAt });
    } else if (generation > 0) {
      closed.set(id, { generation, seenAt });
      forgetClosed(seenAt - REMEMBER_CLOSED_MS);
    }
    if (changed) onTransition(id, state);
  }

  function forgetClosed(before: number): void {
    for (const [id, { seenAt }] of closed) {
      if (seenAt >= before && closed.size <= MAX_REMEMBERED) return;
      closed.delete(id);
    }
  }

  async function reportToBreaker(id: string, event: BreakerEvent): Promise<SharedBreaker | undefined> {
    try {
      const breaker = await breakers.apply(id, event);
      remember(id, breaker);
      return breaker;
    } catch {
      // Redis is unreachable. The report is dropped: later outcomes show the same.
      return undefined;
    }
  }

  function reportSuccesses(): void {
    timer = undefined;
    for (const id of successes.keys()) void reportSuccess(id);
  }

  async function reportSuccess(id: string): Promise<void> {
    const success = successes.get(id);
    successes.delete(id);
    if (!success) return;
    const { generation, beganAt } = success;
    await reportToBreaker(id, { kind: "success", generation, agoMs: performance.now() - beganAt });
  }

  return {
    async read(ids) {
      try {
        const found = await breakers.read(ids);
        for (const [index, breaker] of found.entries()) remember(ids[index]!, breaker);
        return new Map(found.map((breaker, index) => [ids[index]!, breaker]));
      } catch {
        return new Map();
      }
    },
    currentGeneration(id, generation) {
      if ((notClosed.get(id)?.generation ?? 0) > generation) return undefined;
      return Math.max(generation, closed.get(id)?.generation ?? 0);
    },
    notClosed: () => notClosed.keys(),
    *recentlyOpened() {
      const since = performance.now() - RECENT_MS;
      for (const [id, { seenAt }] of notClosed) if (seenAt > since) yield id;
    },
    async acquireProbe(id, leaseMs) {
      const breaker = await reportToBreaker(id, { kind: "probe", leaseMs });
      return breaker?.changed ? breaker.generation : undefined;
    },
    async report({ subscriptionId: id, generation, isProbe, beganAt, wasFailing, outcome }) {
      switch (outcome.kind) {
        case "delivered":
          if (isLater({ generation, beganAt }, successes.get(id))) successes.set(id, { generation, beganAt });
          if (wasFailing || isProbe || notClosed.has(id)) return reportSuccess(id);
          timer ??= setTimeout(reportSuccesses, COALESCE_MS);
          return;
        case "blocked":
          // Nothing was sent, so the subscriber's state is unknown. For a probe that counts as a failure.
          if (!isProbe) return;
          break;
        case "retryable":
        case "gone":
          break;
      }
      // Reported in the order in which they happened: a success in between restarts the breaker's count.
      void reportSuccess(id);
      const requestedMs = outcome.kind === "retryable" ? (outcome.retryAfterMs ?? 0) : 0;
      const retryAfterMs = Math.min(requestedMs, MAX_RETRY_AFTER_MS);
      const agoMs = performance.now() - beganAt;
      await reportToBreaker(id, { kind: "failure", generation, agoMs, isProbe, retryAfterMs });
    },
  };
}

type Sent = Pick<Report, "generation" | "beganAt">;

const isLater = (one: Sent, other: Sent | undefined): boolean => {
  if (other === undefined) return true;
  return one.generation === other.generation ? one.beganAt >= other.beganAt : one.generation > other.generation;
};
