import { setTimeout as sleep } from "node:timers/promises";
import type { Target } from "../../processes/event-source.ts";
import type { Behaviour } from "../../processes/subscribers.ts";
import type { Database } from "../../support/database.ts";
import { type Fleet, withFleet } from "../../support/fleet.ts";
import { type Comparison, type Figures, measureInRounds, withRatio } from "../../support/rounds.ts";
import { LATENCY_COLUMNS, measureLatencies } from "../../support/steady-load.ts";
import type { Bench } from "../suite.ts";
import { scenario } from "../scenario.ts";
import { ISOLATED } from "./isolated.ts";

const WELL = 20;
const WELL_PER_SECOND = 100;
const HANGING = { quick: 150, full: 600 };
const EVENTS_EACH = 4;
const WARM_UP_MS = 3_000;
/** Longer than a request to a hanging receiver lasts. */
const SECONDS = { quick: 6, full: 25 };
const PATIENCE_MS = 20_000;
const CONNECTIONS = 64;
/** Subscriptions that are created during the attack, and when. */
const NEW_AFTER_MS = { quick: [1_000, 3_000], full: [1_000, 5_000, 12_000, 18_000] };
const NEW_WITHIN_MS = 30_000;
const POLL_MS = 50;

interface Contestant {
  name: string;
  workers: number;
  /** Whose the hanging subscriptions are; undefined for no attack. */
  tenantOf?: (index: number) => string;
  /** The workers start when the attack is queued, and remember nothing. */
  isRestarted?: boolean;
}

const CALM = "no attack, one worker";
const ofOne = () => "attacker";
const ofMany = (index: number) => `attacker-${index}`;
const CONTESTANTS: readonly Contestant[] = [
  { name: CALM, workers: 1 },
  { name: "of one tenant, one worker", workers: 1, tenantOf: ofOne },
  { name: "of as many tenants, one worker", workers: 1, tenantOf: ofMany },
  { name: "of one tenant, one worker, just started", workers: 1, tenantOf: ofOne, isRestarted: true },
  { name: "of as many tenants, two workers", workers: 2, tenantOf: ofMany },
];

const target = (number: number): Target => ({ tenant: `well-${number}`, type: "bench.event", number });
const TARGETS = Array.from({ length: WELL }, (_, number) => target(number));

/** The effect of many receivers that accept connections and never answer. */
export const hanging = scenario(
  "isolation-hanging",
  `${WELL} tenants with proven subscriptions, and new ones, beside ${HANGING.full} subscriptions whose receivers hang`,
  async (bench, database) => {
    const size = bench.isQuick ? "quick" : "full";
    const contenders = CONTESTANTS.map((contestant) => ({
      name: contestant.name,
      measure: () => measure(bench, database, contestant),
    }));
    const measured = await measureInRounds(contenders, bench.rounds, (line) => bench.say(`hanging: ${line}`));
    const ratios = CONTESTANTS.slice(1).map(({ name }) =>
      withRatio(measured, {
        label: "p99 from 202",
        metric: "p99 accepted",
        of: name,
        against: CALM,
        goal: "p99 under 1 s, a new subscription's first delivery under 5 s",
      }),
    );
    const comparison: Comparison = {
      title: `isolation, ${WELL_PER_SECOND} events/s for proven subscriptions beside ${HANGING[size]} hanging ones`,
      columns: [
        ...LATENCY_COLUMNS,
        { metric: "new", label: "first delivery of a new subscription, slowest, s", digits: 2 },
      ],
      measured,
      ratios,
    };
    return [comparison];
  },
);

function measure(bench: Bench, database: Database, contestant: Contestant): Promise<Figures> {
  const size = bench.isQuick ? "quick" : "full";
  const news = NEW_AFTER_MS[size];
  const behaviours: Behaviour[] = [
    ...Array.from({ length: WELL + news.length }, (): Behaviour => "healthy"),
    "silent" satisfies Behaviour,
  ];
  return withFleet(bench, database, ISOLATED, behaviours, async (fleet) => {
    for (const { number, tenant } of TARGETS) {
      await fleet.subscribe({ url: fleet.subscribers.urls[number]!, tenant, eventTypes: ["bench.event"] });
    }
    const { tenantOf } = contestant;
    const attack = tenantOf && (await prepareAttack(fleet, HANGING[size], tenantOf));
    await fleet.startWorkers(contestant.workers);
    await prove(fleet);
    if (contestant.isRestarted) {
      await fleet.stopWorkers();
      await attack?.();
    }
    const source = await fleet.source({
      targets: TARGETS,
      events: WELL_PER_SECOND * (WARM_UP_MS / 1000 + SECONDS[size]),
      eventsPerRequest: 1,
      connections: CONNECTIONS,
      perSecond: WELL_PER_SECOND,
      isTraced: true,
    });
    if (contestant.isRestarted) await fleet.startWorkers(contestant.workers);
    let first: Promise<number> | undefined;
    const times = { warmUpMs: WARM_UP_MS, measureMs: SECONDS[size] * 1000, patienceMs: PATIENCE_MS };
    // The deliveries that proved the subscriptions are counted, too.
    const expected = WELL_PER_SECOND * (WARM_UP_MS / 1000 + SECONDS[size]) + WELL;
    const figures = await measureLatencies(fleet, source, { counted: WELL, expected }, times, {
      begin() {
        if (!contestant.isRestarted) void attack?.();
        first = slowestFirstDelivery(fleet, news);
      },
    });
    return { ...figures, new: (await first!) / 1000 };
  });
}

/** Delivers to every well subscription once, which proves it. */
async function prove({ api, subscribers }: Fleet): Promise<void> {
  for (const { tenant } of TARGETS) await api.send({ type: "bench.event", data: {}, tenant });
  while ((await subscribers.received(WELL)) < WELL) await sleep(POLL_MS);
  // The rows note the successes a moment later.
  await sleep(1_000);
}

/** @returns starts the attack: some events for each hanging subscription */
async function prepareAttack(
  fleet: Fleet,
  count: number,
  tenantOf: (index: number) => string,
): Promise<() => Promise<void>> {
  const { api } = fleet;
  const url = fleet.subscribers.urls.at(-1)!;
  for (let index = 0; index < count; index += 1) {
    await fleet.subscribe({ url: `${url}/${index}`, tenant: tenantOf(index), eventTypes: ["bench.attack"] });
  }
  const tenants = [...new Set(Array.from({ length: count }, (_, index) => tenantOf(index)))];
  const events = tenants.map((tenant) => ({ type: "bench.attack", data: {}, tenant }));
  return async () => {
    for (let number = 0; number < EVENTS_EACH; number += 1) {
      await api.call("POST", "/v1/events/batch", { body: { events } });
    }
  };
}

/** Creates subscriptions of new tenants, one after the other. @returns the longest time from a 202 to the receipt */
async function slowestFirstDelivery(fleet: Fleet, afterMs: readonly number[]): Promise<number> {
  const { api, subscribers } = fleet;
  const since = performance.now();
  const times = afterMs.map(async (ms, index) => {
    await sleep(since + ms - performance.now());
    const number = WELL + index;
    await fleet.subscribe({ url: subscribers.urls[number]!, tenant: `new-${index}` });
    await api.send({ type: "bench.new", data: {}, tenant: `new-${index}` });
    const accepted = performance.now();
    while (performance.now() - accepted < NEW_WITHIN_MS) {
      await sleep(POLL_MS);
      const { received } = await subscribers.count();
      if (received[number]! > 0) break;
    }
    return performance.now() - accepted;
  });
  return Math.max(...(await Promise.all(times)));
}
