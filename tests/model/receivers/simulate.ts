import { Random } from "../../../chaos/random.ts";
import { Clock } from "./clock.ts";
import { newFigures, type Figures } from "./figures.ts";
import { Fleet, type Delivery } from "./fleet.ts";
import type { Receiver } from "./receivers.ts";
import { ReleaseJob } from "./release.ts";
import { Worker } from "./worker.ts";

export interface Scenario {
  receiver: Receiver;
  /** Events per second, at random times. */
  rate: number;
  /** How long events arrive. */
  seconds: number;
  workers: number;
  seed: number;
  /** Whether the subscription had a success before; true if left out. */
  hasSucceeded?: boolean;
}

/**
 * Simulates a fleet that delivers to one subscription. The reducers that decide are the product's own; slots, reports,
 * retries and the release job are modelled on the worker. Redis and Postgres answer at once.
 */
export function simulate({ receiver, rate, seconds, workers: count, seed, hasSucceeded = true }: Scenario): Figures {
  const numbers = new Random(seed);
  const random = () => numbers.next();
  const clock = new Clock();
  const figures = newFigures();
  const fleet = new Fleet({ clock, receiver, random, figures });
  if (hasSucceeded) fleet.lastSuccessAt = clock.now;
  const workers: Worker[] = [];
  const pick = () => workers[Math.floor(random() * workers.length)]!;
  const admit = (delivery: Delivery) => pick().admit(delivery);
  while (workers.length < count) workers.push(new Worker(fleet, admit));
  new ReleaseJob(fleet, workers);

  const untilNextMs = () => (-Math.log(1 - random()) / rate) * 1_000;
  const arrive = () => {
    figures.events += 1;
    admit({ createdAt: clock.now, step: 0, isReleased: false });
    clock.after(untilNextMs(), arrive);
  };
  clock.after(untilNextMs(), arrive);
  clock.runUntil(seconds * 1_000);
  fleet.end();
  return figures;
}
