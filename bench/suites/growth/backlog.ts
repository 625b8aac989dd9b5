import type { Database } from "../../support/database.ts";
import { type FleetKind, withFleet } from "../../support/fleet.ts";
import { type Comparison, measureInRounds, withRatio } from "../../support/rounds.ts";
import { scenario, withDatabase } from "../scenario.ts";
import type { Bench } from "../suite.ts";
import { BEHAVIOURS, columns, drain, type Load, queueBacklog, subscribeAll, USUAL } from "./drain.ts";

const SIZE = {
  quick: { small: 1_200, large: 5_000 },
  full: { small: 30_000, large: 1_000_000 },
};
/** Small, because queueing a million larger ones would dominate the run. */
const PAYLOAD_BYTES = 200;

const SMALL = "no more than is delivered";
const LARGE = "a backlog behind it";

/** The large backlog is queued once, and every round delivers the next part of it. */
export const backlog = scenario(
  "growth-backlog",
  "the oldest of a backlog of a million deliveries, against a backlog that is no larger than that",
  (bench, large) => withDatabase(bench, "growth-backlog-small", async (small) => [await compare(bench, large, small)]),
);

function compare(bench: Bench, large: Database, small: Database): Promise<Comparison> {
  const sizes = SIZE[bench.isQuick ? "quick" : "full"];
  const load: Load = { ...USUAL, deliveries: sizes.small, payloadBytes: PAYLOAD_BYTES };
  // Two schedules side by side need two databases of Redis.
  const kind: FleetKind = { env: {}, redisUrl: `${bench.servers.redisUrl}/1` };
  return withFleet(bench, large, kind, BEHAVIOURS, async (fleet) => {
    await subscribeAll(fleet, load);
    bench.say(`growth, backlog: ${sizes.large} deliveries are queued`);
    // Every round takes its own part and leaves a million.
    await queueBacklog(fleet, { ...load, deliveries: sizes.large + bench.rounds * sizes.small });
    const contenders = [
      { name: SMALL, measure: () => measureSmall(bench, small, load) },
      { name: LARGE, measure: () => drain(fleet, large, load) },
    ];
    const measured = await measureInRounds(contenders, bench.rounds, (line) => bench.say(`growth, backlog: ${line}`));
    const ratio = { metric: "delivered/s", label: "delivered/s", goal: "0.9 to 1.1" };
    return {
      title: `growth, backlog: ${sizes.small} of ${sizes.small} and of ${sizes.large} and more`,
      columns: columns(large),
      measured,
      ratios: [withRatio(measured, { ...ratio, of: LARGE, against: SMALL })],
    };
  });
}

const measureSmall = (bench: Bench, database: Database, load: Load) =>
  withFleet(bench, database, { env: {} }, BEHAVIOURS, async (fleet) => {
    await subscribeAll(fleet, load);
    await queueBacklog(fleet, load);
    return drain(fleet, database, load);
  });
