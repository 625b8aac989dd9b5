import type { Database } from "../../support/database.ts";
import { withFleet } from "../../support/fleet.ts";
import type { Column, Comparison, Figures } from "../../support/rounds.ts";
import type { Bench } from "../suite.ts";
import { growBacklog, type Stage } from "./held-backlog.ts";
import { releaseAll } from "./held-release.ts";
import { scenario } from "../scenario.ts";
import { ISOLATED } from "./isolated.ts";

const SIZES = { quick: [500, 5_000], full: [1_000, 10_000, 100_000] };
const COOLDOWN_S = 3;

/** The cost of a dead subscriber as its held backlog grows, and the release of the backlog when it recovers. */
export const held = scenario(
  "isolation-held",
  "a dead subscriber's backlog grows: its requests, Redis's memory, and the release of its backlog (one round)",
  async (bench, database) => {
    const { stages, released } = await measure(bench, database, SIZES[bench.isQuick ? "quick" : "full"]);
    return [growth(stages), release(stages.at(-1)!.events, released)];
  },
);

/** Always one round: counts and bytes don't depend on the machine's load. */
function measure(bench: Bench, database: Database, sizes: readonly number[]) {
  const fleetKind = { env: { ...ISOLATED.env, BREAKER_COOLDOWN: `${COOLDOWN_S}s` } };
  return withFleet(bench, database, fleetKind, ["failing"], async (fleet) => {
    const subscription = await fleet.subscribe({ url: fleet.subscribers.urls[0]! });
    await fleet.startWorkers();
    const say = (line: string) => bench.say(`held: ${line}`);
    const { redisUrl } = bench.servers;
    const stages = await growBacklog({ fleet, redisUrl, subscription, cooldownMs: COOLDOWN_S * 1000, say }, sizes);
    say("the subscriber answers 200 from now on");
    return { stages, released: await releaseAll(fleet, sizes.at(-1)!) };
  });
}

function growth(stages: readonly Stage[]): Comparison {
  return {
    title: "isolation, the cost of a dead subscriber while its backlog grows (one round)",
    columns: GROWTH_COLUMNS,
    measured: stages.map(({ events, figures }) => ({ name: `${events} events for it`, rounds: [figures] })),
    ratios: [],
  };
}

const GROWTH_COLUMNS: readonly Column[] = [
  { metric: "held", label: "held", digits: 0 },
  { metric: "requests", label: "requests in three cooldowns (goal: 3)", digits: 0 },
  { metric: "slope", label: "Redis bytes per delivery more (goal: about 0)", digits: 1 },
  { metric: "bytes", label: "Redis dataset, bytes", digits: 0 },
  { metric: "streams", label: "BullMQ's event streams beside it, kB", digits: 0 },
  { metric: "keys", label: "Redis keys", digits: 0 },
  { metric: "settle", label: "s until all was held", digits: 1 },
];

function release(events: number, figures: Figures): Comparison {
  return {
    title: `isolation, a backlog of ${events} after its subscriber recovered (one round)`,
    columns: RELEASE_COLUMNS,
    measured: [{ name: "Postrider", rounds: [figures] }],
    ratios: [],
  };
}

const RELEASE_COLUMNS: readonly Column[] = [
  { metric: "seconds", label: "s until the last receipt", digits: 1 },
  { metric: "missing", label: "not received", digits: 0 },
  { metric: "twice", label: "received twice", digits: 0 },
  { metric: "correlation", label: "rank correlation of age and receipt (1: oldest first)", digits: 3 },
  { metric: "older first", label: "neighbours in order of age", digits: 2 },
  { metric: "mean", label: "received/s, mean", digits: 0 },
  { metric: "busiest", label: "received in the busiest second", digits: 0 },
  { metric: "busiest share", label: "busiest ÷ mean", digits: 2 },
  ...[1, 2, 3, 4, 5].map((second) => ({ metric: `second ${second}`, label: `second ${second}`, digits: 0 })),
];
