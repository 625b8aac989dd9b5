/** The outcome of one simulation. Times are milliseconds of the simulated clock. */
export interface Figures {
  events: number;
  delivered: number;
  dead: number;
  /** From an event to its delivery, ascending. */
  latencies: number[];
  /** How long the breaker was not closed. */
  notClosedMs: number;
  /** When the breaker opened. */
  openings: number[];
  /** When each request was sent. */
  requests: number[];
  /** When each release ended with nothing left held. */
  releaseEnds: number[];
}

export const newFigures = (): Figures => ({
  events: 0,
  delivered: 0,
  dead: 0,
  latencies: [],
  notClosedMs: 0,
  openings: [],
  requests: [],
  releaseEnds: [],
});

/** The latency that this share of the delivered events does not exceed, in milliseconds. */
export const quantile = ({ latencies }: Figures, share: number): number =>
  latencies[Math.floor(share * (latencies.length - 1))] ?? Number.NaN;
