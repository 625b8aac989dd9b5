import type { Breakers, SharedBreaker } from "@postrider/shared/breaker/breakers.ts";
import type { BreakerState } from "@postrider/shared/core/breaker.ts";
import type { Outcome } from "@postrider/shared/core/delivery/outcome.ts";
import { MAX_RETRY_AFTER_MS } from "@postrider/shared/core/delivery/retry-schedule.ts";

/** What an attempt tells about its subscriber. */
interface Report {
  subscriptionId: string;
  /** The breaker's generation that the request was sent in. */
  generation: number;
  isProbe: boolean;
  /** When the request began. Milliseconds of `performance.now()`. */
  beganAt: number;
  /** Whether the breaker counted failures, or was not closed, when it was read: then a success is news. */
  wasFailing: boolean;
  outcome: Outcome;
}

/** What this worker knows of its subscribers' breakers, and what it tells them. */
export interface BreakerReports {
  /** The breakers of these subscriptions; of none while Redis is away. */
  read(subscriptionIds: readonly string[]): Promise<ReadonlyMap<string, SharedBreaker>>;
  /**
   * The generation to send in, where the breaker was closed when it was read: a later one, where this worker has heard since that
   * it opened and closed again. Undefined where it is not closed any more: then what is not sent yet is not sent.
   */
  currentGeneration(subscriptionId: string, generation: number): number | undefined;
  /** Those whose breaker is not closed, as last heard. */
  notClosed(): Iterable<string>;
  /** Those of them that were heard of within the last second. */
  recentlyOpened(): Iterable<string>;
  /** @returns the probe's generation, or undefined where it is not granted */
  acquireProbe(subscriptionId: string, leaseMs: number): Promise<number | undefined>;
  report(report: Report): Promise<void>;
}

/** How long a success may wait that is no news. It goes before any failure that this worker has to tell. */
const SUCCESS_DELAY_MS = 100;
/** What was heard of a breaker holds for so long without asking again. */
const FRESH_MS = 1_000;
/** More breakers than this are not remembered here; they are still asked for with every batch. */
const REMEMBERED = 10_000;
/** A closed breaker is remembered for longer than what was loaded before it opened can wait for its turn. */
const CLOSED_REMEMBERED_MS = 60_000;

/** @param onTransition called where an answer of this worker's changed a breaker's state; it must not throw */
export function createBreakerReports(
  breakers: Breakers,
  onTransition: (subscriptionId: string, state: BreakerState) => void,
): BreakerReports {
  /** Breakers that are not closed, as last heard. */
  const shut = new Map<string, { generation: number; heardAt: number }>();
  /** Breakers that are closed and were not always, the longest unheard of first. */
  const closed = new Map<string, { generation: number; heardAt: number }>();
  /** Successes that wait to be told: of each subscription the latest, the others tell nothing more. */
  const successes = new Map<string, Sent>();
  let timer: NodeJS.Timeout | undefined;

  function hear(id: string, { state, generation, changed }: SharedBreaker): void {
    const heardAt = performance.now();
    shut.delete(id);
    closed.delete(id);
    if (state !== "closed") {
      if (shut.size < REMEMBERED) shut.set(id, { generation, heardAt });
    } else if (generation > 0) {
      closed.set(id, { generation, heardAt });
      forgetClosed(heardAt - CLOSED_REMEMBERED_MS);
    }
    if (changed) onTransition(id, state);
  }

  function forgetClosed(before: number): void {
    for (const [id, { heardAt }] of closed) {
      if (heardAt >= before && closed.size <= REMEMBERED) return;
      closed.delete(id);
    }
  }

  async function tell(id: string, event: Parameters<Breakers["apply"]>[1]): Promise<SharedBreaker | undefined> {
    try {
      const breaker = await breakers.apply(id, event);
      hear(id, breaker);
      return breaker;
    } catch {
      // Redis is away. What it is not told it need not know: the next answers tell it.
      return undefined;
    }
  }

  function tellSuccesses(): void {
    timer = undefined;
    for (const id of successes.keys()) void tellSuccess(id);
  }

  async function tellSuccess(id: string): Promise<void> {
    const success = successes.get(id);
    successes.delete(id);
    if (!success) return;
    const { generation, beganAt } = success;
    await tell(id, { kind: "success", generation, agoMs: performance.now() - beganAt });
  }

  return {
    async read(ids) {
      try {
        const found = await breakers.read(ids);
        for (const [index, breaker] of found.entries()) hear(ids[index]!, breaker);
        return new Map(found.map((breaker, index) => [ids[index]!, breaker]));
      } catch {
        return new Map();
      }
    },
    currentGeneration(id, generation) {
      if ((shut.get(id)?.generation ?? 0) > generation) return undefined;
      return Math.max(generation, closed.get(id)?.generation ?? 0);
    },
    notClosed: () => shut.keys(),
    *recentlyOpened() {
      const since = performance.now() - FRESH_MS;
      for (const [id, { heardAt }] of shut) if (heardAt > since) yield id;
    },
    async acquireProbe(id, leaseMs) {
      const breaker = await tell(id, { kind: "probe", leaseMs });
      return breaker?.changed ? breaker.generation : undefined;
    },
    async report({ subscriptionId: id, generation, isProbe, beganAt, wasFailing, outcome }) {
      switch (outcome.kind) {
        case "delivered":
          if (isLater({ generation, beganAt }, successes.get(id))) successes.set(id, { generation, beganAt });
          if (wasFailing || isProbe || shut.has(id)) return tellSuccess(id);
          timer ??= setTimeout(tellSuccesses, SUCCESS_DELAY_MS);
          return;
        case "blocked":
          // Nothing was sent, so nothing is known, except that a probe has brought no success.
          if (!isProbe) return;
          break;
        case "retryable":
        case "gone":
          break;
      }
      // Told in the order in which they happened: a success in between begins the count anew.
      void tellSuccess(id);
      const asked = outcome.kind === "retryable" ? (outcome.retryAfterMs ?? 0) : 0;
      const retryAfterMs = Math.min(asked, MAX_RETRY_AFTER_MS);
      await tell(id, { kind: "failure", generation, agoMs: performance.now() - beganAt, isProbe, retryAfterMs });
    },
  };
}

type Sent = Pick<Report, "generation" | "beganAt">;

const isLater = (one: Sent, other: Sent | undefined): boolean =>
  other === undefined || one.generation > other.generation || (one.generation === other.generation && one.beganAt >= other.beganAt); // prettier-ignore
