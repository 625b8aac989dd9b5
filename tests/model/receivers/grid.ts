import { isLongRun } from "@postrider/testkit/long-run.ts";
import type { Figures } from "./figures.ts";
import type { Receiver } from "./receivers.ts";
import { simulate } from "./simulate.ts";

export const SECONDS = 1_800;

const range = (count: number) => Array.from({ length: count }, (_, index) => index + 1);

/**
 * A long run simulates each receiver with ten seeds on 1, 2, 4 and 10 workers. A normal run has one seed, and at 100
 * events/s, which take most of the time, one number of workers.
 */
const SEEDS = range(isLongRun ? 10 : 1);
const WORKERS = (rate: number): number[] => (isLongRun ? [1, 2, 4, 10] : rate >= 100 ? [2] : [1, 4]);

export interface Run {
  /** Events per second. */
  rate: number;
  workers: number;
  /** For messages of assertions. */
  name: string;
  figures: Figures;
}

/** Simulates half an hour of a receiver at each of the rates. */
export function* runs(
  rates: readonly number[],
  receiverOf: (rate: number) => Receiver,
  { hasSucceeded = true } = {},
): Generator<Run> {
  for (const rate of rates) {
    for (const workers of WORKERS(rate)) {
      for (const seed of SEEDS) {
        const scenario = { receiver: receiverOf(rate), rate, seconds: SECONDS, workers, seed };
        const figures = simulate({ ...scenario, hasSucceeded });
        yield { rate, workers, figures, name: `${rate} events/s, ${workers} workers, seed ${seed}` };
      }
    }
  }
}

export const deliveredShare = ({ delivered, events }: Figures): number => delivered / events;
export const deadShare = ({ dead, events }: Figures): number => dead / events;
/** Deliveries as a share of what a receiver of this capacity, requests per second, could take. */
export const capacityShare = ({ delivered, events }: Figures, capacity: number): number =>
  delivered / Math.min(events, capacity * SECONDS);
