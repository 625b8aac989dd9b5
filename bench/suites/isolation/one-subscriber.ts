import { followGrowth } from "@postrider/testkit/wait.ts";
import type { Database } from "../../support/database.ts";
import { type Fleet, type FleetKind, withFleet } from "../../support/fleet.ts";
import { ratePerSecond } from "../../support/receipts.ts";
import { type Column, type Figures, measureInRounds, withRatio } from "../../support/rounds.ts";
import type { Bench } from "../suite.ts";
import { scenario } from "../scenario.ts";
import { ISOLATED } from "./isolated.ts";
import { UNISOLATED } from "./unisolated.ts";

const EVENTS = { quick: 3_000, full: 20_000 };
const EVENTS_PER_REQUEST = 100;
/** The first receipts don't count, because one of the two workers is ready first. */
const WARM_UP_SHARE = 0.2;
const QUEUE_DEADLINE_MS = 120_000;
/** Gives up without a receipt for this long. */
const PATIENCE_MS = 20_000;

const LIMITED = "as it is";
const UNLIMITED = "not isolated";
const DEFAULT_MAX_IN_FLIGHT = 32;
/** As many requests in flight as the subscription's limit allows, first come, first served. */
const FIRST_COME: FleetKind = {
  ...UNISOLATED,
  env: { ...UNISOLATED.env, MAX_IN_FLIGHT: String(DEFAULT_MAX_IN_FLIGHT) },
};

/** Whether isolation slows down a fast subscriber that gets all the traffic. */
export const oneSubscriber = scenario(
  "isolation-one-subscriber",
  "a backlog that is all for one fast subscriber, against as many requests at once, first come, first served, drained by two workers",
  async (bench, database) => {
    const events = EVENTS[bench.isQuick ? "quick" : "full"];
    const contenders = [
      { name: LIMITED, measure: () => measure(bench, database, events, ISOLATED) },
      { name: UNLIMITED, measure: () => measure(bench, database, events, FIRST_COME) },
    ];
    const measured = await measureInRounds(contenders, bench.rounds, (line) => bench.say(`one subscriber: ${line}`));
    return [
      {
        title: `isolation, a backlog of ${events} for one fast subscriber`,
        columns: COLUMNS,
        measured,
        ratios: [
          withRatio(measured, {
            label: "delivered/s",
            metric: "delivered/s",
            of: LIMITED,
            against: UNLIMITED,
            goal: "about 1",
          }),
        ],
      },
    ];
  },
);

const COLUMNS: readonly Column[] = [
  { metric: "delivered/s", label: "delivered/s", digits: 0 },
  { metric: "held", label: "maximum held at once (goal: 0)", digits: 0 },
  { metric: "missing", label: "not received", digits: 0 },
];

function measure(bench: Bench, database: Database, events: number, kind: FleetKind): Promise<Figures> {
  return withFleet(bench, database, kind, ["healthy"], async (fleet) => {
    await fleet.subscribe({ url: fleet.subscribers.urls[0]! });
    const targets = [{ tenant: "default", type: "bench.event", number: 0 }];
    await fleet.queue({ targets, events, eventsPerRequest: EVENTS_PER_REQUEST }, QUEUE_DEADLINE_MS);
    await database.run("checkpoint");
    await fleet.startWorkers();
    let maxHeld = 0;
    const received = await followGrowth(events, PATIENCE_MS, 250, async () => {
      maxHeld = Math.max(maxHeld, await heldNow(fleet));
      return fleet.subscribers.received();
    });
    const { times } = await fleet.subscribers.report();
    return {
      "delivered/s": ratePerSecond(times, Math.floor(events * WARM_UP_SHARE)),
      held: maxHeld,
      missing: events - received,
    };
  });
}

async function heldNow({ api }: Fleet): Promise<number> {
  const { data } = await api.subscriptions({ limit: 200 });
  return data.reduce((sum, { held }) => sum + held, 0);
}
