import { INITIAL_RATE } from "@postrider/shared/core/release-window.ts";

/** How often released deliveries are polled: soon while they complete, less often while they do not. */
export const POLL_MS = { min: 100, max: 500 };

/** The state of a release, in this process's memory. */
export interface Run {
  /** Deliveries of the subscription that were released, and that were pending at the last poll. */
  readonly released: Set<string>;
  /** Deliveries per second to release, judged once a second. */
  rate: number;
  judgedAt: number;
  /** Since the rate was judged. */
  completed: number;
  failed: number;
  /** How many may be released now: little more than a second's worth at most. */
  budget: number;
  budgetAt: number;
  /** Whether its last round released deliveries or found completed ones. */
  isMoving: boolean;
  pollMs: number;
  total: number;
  /** When its job began, or went on after it had yielded. */
  startedAt: number;
  lastActiveAt: number;
}

export function startRun(): Run {
  const startedAt = performance.now();
  return {
    released: new Set(),
    rate: INITIAL_RATE,
    judgedAt: startedAt,
    completed: 0,
    failed: 0,
    budget: 1,
    budgetAt: startedAt,
    isMoving: true,
    pollMs: POLL_MS.min,
    total: 0,
    startedAt,
    lastActiveAt: startedAt,
  };
}
