import type { Breakers, SharedBreaker } from "@postrider/shared/breaker/breakers.ts";
import type { Breaker } from "@postrider/shared/core/breaker.ts";
import type { Outcome } from "@postrider/shared/core/outcome.ts";
import { MAX_RETRY_AFTER_MS } from "@postrider/shared/core/retry-schedule.ts";

/** What an attempt tells about its subscriber. */
interface Report {
  subscriptionId: string;
  /** The breaker's generation that the request was sent in. */
  generation: number;
  isProbe: boolean;
  /** When the request began. Unix milliseconds by this process's clock. */
  startedAt: number;
  /** Whether the breaker counted failures, or was not closed, when it was read: then a success is news. */
  wasFailing: boolean;
  outcome: Outcome;
}

/** What this worker knows of its subscribers' breakers, and what it tells them. */
export interface SubscriberHealth {
  /** The breakers of these subscriptions; of none while Redis is away. */
  read(subscriptionIds: readonly string[]): Promise<ReadonlyMap<string, SharedBreaker>>;
  /** Whether this worker has heard that the breaker opened after it was read: then what is not sent yet is not sent. */
  hasOpenedSince(subscriptionId: string, generation: number): boolean;
  /** Those whose breaker is not closed, as last heard. */
  shutSubscriptions(): Iterable<string>;
  /** Those of them that were heard of within the last second. */
  justHeardShut(): Iterable<string>;
  /** @returns the probe's generation, or undefined where it is not granted */
  takeProbe(subscriptionId: string, leaseMs: number): Promise<number | undefined>;
  report(report: Report): Promise<void>;
}

/** How long a success may wait that is no news. It goes before any failure that this worker has to tell. */
const SUCCESS_DELAY_MS = 100;
/** What was heard of a breaker holds for so long without asking again. */
const FRESH_MS = 1_000;
/** More open breakers than this are not remembered here; they are still asked for with every batch. */
const REMEMBERED = 10_000;

/** @param onTransition called where an answer of this worker's changed a breaker's state; it must not throw */
export function createSubscriberHealth(
  breakers: Breakers,
  onTransition: (subscriptionId: string, breaker: Breaker) => void,
): SubscriberHealth {
  /** Breakers that are not closed, as last heard. */
  const shut = new Map<string, { generation: number; heardAt: number }>();
  /** Successes that wait to be told: of each subscription the one whose request began last, the others tell nothing more. */
  const successes = new Map<string, Pick<Report, "generation" | "startedAt">>();
  let timer: NodeJS.Timeout | undefined;

  function hear(id: string, breaker: SharedBreaker): void {
    if (breaker.state === "closed") shut.delete(id);
    else if (shut.has(id) || shut.size < REMEMBERED) {
      shut.set(id, { generation: breaker.generation, heardAt: performance.now() });
    }
    if (breaker.changed) onTransition(id, breaker);
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
    const { generation, startedAt } = success;
    await tell(id, { kind: "success", generation, agoMs: agoMs(startedAt) });
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
    hasOpenedSince(id, generation) {
      const heard = shut.get(id);
      return heard !== undefined && heard.generation > generation;
    },
    shutSubscriptions: () => shut.keys(),
    *justHeardShut() {
      const since = performance.now() - FRESH_MS;
      for (const [id, { heardAt }] of shut) if (heardAt > since) yield id;
    },
    async takeProbe(id, leaseMs) {
      const breaker = await tell(id, { kind: "probe", leaseMs });
      return breaker?.changed ? breaker.generation : undefined;
    },
    async report({ subscriptionId: id, generation, isProbe, startedAt, wasFailing, outcome }) {
      switch (outcome.kind) {
        case "delivered":
          if (startedAt >= (successes.get(id)?.startedAt ?? 0)) successes.set(id, { generation, startedAt });
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
      await tell(id, { kind: "failure", generation, agoMs: agoMs(startedAt), isProbe, retryAfterMs });
    },
  };
}

/** A clock that was set back meanwhile makes nothing begin in the future. */
const agoMs = (startedAt: number): number => Math.max(0, Date.now() - startedAt);
