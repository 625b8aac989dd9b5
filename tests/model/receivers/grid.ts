import { isFullLongRun } from "@postrider/testkit/long-run.ts";
import type { Figures } from "./figures.ts";
import type { Receiver } from "./receivers.ts";
import { simulate } from "./simulate.ts";

const range = (count: number) => Array.from({ length: count }, (_, index) => index + 1);

/**
 * A full long run (`npm run test:long`) simulates half an hour of each receiver with ten seeds on 1, 2, 4 and 10
 * workers. At 100 events/s, which take most of the time and leave little to chance, it has three seeds. Any other run is
 * a sample of it.
 */
function gridOf(rate: number): { seeds: number[]; workers: number[]; seconds: number } {
  const isBusy = rate >= 100;
  if (isFullLongRun) return { seeds: range(isBusy ? 3 : 10), workers: [1, 2, 4, 10], seconds: 1_800 };
  return { seeds: [1], workers: isBusy ? [2] : [1, 4], seconds: isBusy ? 900 : 1_800 };
}

export interface Run {
  /** Events per second. */
  rate: number;
  workers: number;
  seconds: number;
  /** For messages of assertions. */
  name: string;
  figures: Figures;
}

/** Simulates a receiver at each of the rates. */
export function* runs(
  rates: readonly number[],
  receiverOf: (rate: number) => Receiver,
  { hasSucceeded = true } = {},
): Generator<Run> {
  for (const rate of rates) {
    const { seeds, workers: workerCounts, seconds } = gridOf(rate);
    for (const workers of workerCounts) {
      for (const seed of seeds) {
        const figures = simulate({ receiver: receiverOf(rate), rate, seconds, workers, seed, hasSucceeded });
        yield { rate, workers, seconds, figures, name: `${rate} events/s, ${workers} workers, seed ${seed}` };
      }
    }
  }
}

export const deliveredShare = ({ delivered, events }: Figures): number => delivered / events;
export const deadShare = ({ dead, events }: Figures): number => dead / events;
/** Deliveries as a share of what a receiver of this capacity, requests per second, could take. */
export const capacityShare = ({ figures, seconds }: Run, capacity: number): number =>
  figures.delivered / Math.min(figures.events, capacity * seconds);
