import { followGrowth } from "@postrider/testkit/wait.ts";
import type { Database } from "../../support/database.ts";
import { withFleet } from "../../support/fleet.ts";
import { busiestSecond, ratePerSecond } from "../../support/receipts.ts";
import { type Column, type Figures, measureInRounds } from "../../support/rounds.ts";
import type { Bench } from "../suite.ts";
import { scenario } from "../scenario.ts";
import { ISOLATED } from "./isolated.ts";

const RATE = 50;
const EVENTS = { quick: 500, full: 800 };
const EVENTS_PER_REQUEST = 100;
const QUEUE_DEADLINE_MS = 60_000;
/** Gives up without a receipt for this long. */
const PATIENCE_MS = 15_000;

/** Whether two workers together respect a subscription's rate limit and use all of it. */
export const rateLimit = scenario(
  "isolation-rate-limit",
  `a backlog for one subscription with a rate limit of ${RATE} per second, drained by two workers`,
  async (bench, database) => {
    const events = EVENTS[bench.isQuick ? "quick" : "full"];
    const contenders = [{ name: "Postrider", measure: () => measure(bench, database, events) }];
    const measured = await measureInRounds(contenders, bench.rounds, (line) => bench.say(`rate limit: ${line}`));
    const title = `isolation, a backlog of ${events} with a rate limit of ${RATE} per second`;
    return [{ title, columns: COLUMNS, measured, ratios: [] }];
  },
);

const COLUMNS: readonly Column[] = [
  { metric: "busiest", label: "received in the busiest second (goal: at most 60)", digits: 0 },
  { metric: "mean", label: "received/s while there is a backlog (goal: at least 45)", digits: 1 },
  { metric: "missing", label: "not received", digits: 0 },
];

function measure(bench: Bench, database: Database, events: number): Promise<Figures> {
  return withFleet(bench, database, ISOLATED, ["healthy"], async (fleet) => {
    await fleet.subscribe({ url: fleet.subscribers.urls[0]!, rateLimit: RATE });
    const targets = [{ tenant: "default", type: "bench.event", number: 0 }];
    await fleet.queue({ targets, events, eventsPerRequest: EVENTS_PER_REQUEST }, QUEUE_DEADLINE_MS);
    await fleet.startWorkers();
    const received = await followGrowth(events, PATIENCE_MS, 50, () => fleet.subscribers.received());
    const { times } = await fleet.subscribers.report();
    return { busiest: busiestSecond(times), mean: ratePerSecond(times, 0), missing: events - received };
  });
}
