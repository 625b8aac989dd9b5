import { followGrowth } from "@postrider/testkit/wait.ts";
import type { Fleet } from "../../support/fleet.ts";
import { ageCorrelation, busiestSecond, firstReceipts, olderFirstShare, ramp } from "../../support/receipts.ts";
import type { Figures } from "../../support/rounds.ts";
import { wallClock } from "../../support/wall-clock.ts";

/** Gives up without a receipt for this long; more than a cooldown and any step of the retry schedule but the last. */
const PATIENCE_MS = 20_000;
const RAMP_SECONDS = 5;

/** Makes the failing subscriber healthy and follows its receipts until it has everything. */
export async function releaseAll(fleet: Fleet, events: number): Promise<Figures> {
  const mendedAt = wallClock();
  fleet.subscribers.mend();
  await followGrowth(events, PATIENCE_MS, 100, () => fleet.subscribers.received());
  const received = await fleet.subscribers.report();
  const { times } = received;
  const first = firstReceipts(received);
  const ids = [...first.keys()];
  const [begin, end] = [times[0], times.at(-1)];
  if (begin === undefined || end === undefined) return { missing: events };
  const mean = (times.length / (end - begin)) * 1000;
  const busiest = busiestSecond(times);
  return {
    seconds: (end - mendedAt) / 1000,
    missing: events - ids.length,
    twice: times.length - ids.length,
    correlation: ageCorrelation(ids),
    "older first": olderFirstShare(ids),
    mean,
    busiest,
    "busiest share": busiest / mean,
    ...Object.fromEntries(ramp(times, RAMP_SECONDS).map((count, index) => [`second ${index + 1}`, count])),
  };
}
