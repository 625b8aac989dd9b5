import { setTimeout as sleep } from "node:timers/promises";
import type { Env } from "@postrider/testkit/processes/managed-process.ts";
import type { Target } from "../../processes/event-source.ts";
import type { Behaviour } from "../../processes/subscribers.ts";
import type { Database } from "../../support/database.ts";
import { type Fleet, withFleet } from "../../support/fleet.ts";
import { type Comparison, type Figures, measureInRounds, withRatio } from "../../support/rounds.ts";
import { LATENCY_COLUMNS, measureLatencies } from "../../support/steady-load.ts";
import { scenario } from "../scenario.ts";
import type { Bench } from "../suite.ts";
import { ATTACKS, ATTACKER, type Attack } from "./attacks.ts";

const NEIGHBOUR = "neighbour";
const SUBSCRIBERS = 5;
const PER_SECOND = 50;
const CONNECTIONS = 64;
const TIMES = { warmUpMs: 3_000, patienceMs: 20_000 };
const SECONDS = { quick: 5, full: 20 };
const CALM = "no attack";

const TARGETS = Array.from({ length: SUBSCRIBERS }, (_, number): Target => ({
  tenant: NEIGHBOUR,
  type: `bench.event-${number}`,
  number,
}));

/** What one tenant can do to the latency of another. */
export const attacks = scenario(
  "attacks",
  `a neighbour's ${PER_SECOND} events/s beside a tenant that attacks: hanging receivers, fan-outs, lists, bodies, rings`,
  async (bench, database) => {
    const contenders = [{ name: CALM }, ...ATTACKS].map((attack) => ({
      name: attack.name,
      measure: () => measure(bench, database, "start" in attack ? attack : undefined),
    }));
    const measured = await measureInRounds(contenders, bench.rounds, (line) => bench.say(`attacks: ${line}`));
    const comparison: Comparison = {
      title: `a neighbour's ${PER_SECOND} events/s beside an attack`,
      columns: [...LATENCY_COLUMNS, { metric: "attacks", label: "requests of the attack", digits: 0 }],
      measured,
      ratios: ATTACKS.map(({ name }) =>
        withRatio(measured, {
          label: "p99 from POST",
          metric: "p99",
          of: name,
          against: CALM,
          goal: "p99 under 1 s, none answered 503",
        }),
      ),
    };
    return [comparison];
  },
);

async function measure(bench: Bench, database: Database, attack: Attack | undefined): Promise<Figures> {
  const needs = await attack?.open?.();
  try {
    return await measureBeside(bench, database, attack, { ...attack?.env, ...needs?.env });
  } finally {
    await needs?.close();
  }
}

function measureBeside(bench: Bench, database: Database, attack: Attack | undefined, env: Env): Promise<Figures> {
  const measureMs = SECONDS[bench.isQuick ? "quick" : "full"] * 1000;
  const behaviours: Behaviour[] = [...TARGETS.map((): Behaviour => "healthy"), "healthy", "silent"];
  const stopping = new AbortController();
  return withFleet(bench, database, { env }, behaviours, async (fleet) => {
    const [healthyUrl, silentUrl] = fleet.subscribers.urls.slice(SUBSCRIBERS) as [string, string];
    for (const { number, tenant, type } of TARGETS) {
      await fleet.subscribe({ url: fleet.subscribers.urls[number]!, tenant, eventTypes: [type] });
    }
    const start = await attack?.start({ fleet, database, healthyUrl, silentUrl, signal: stopping.signal });
    await fleet.startWorkers();
    await prove(fleet);
    const source = await fleet.source({
      targets: TARGETS,
      events: PER_SECOND * ((TIMES.warmUpMs + measureMs) / 1000),
      eventsPerRequest: 1,
      connections: CONNECTIONS,
      perSecond: PER_SECOND,
      isTraced: true,
    });
    let made = 0;
    let failure: Error | undefined;
    let attacking = Promise.resolve();
    // The deliveries that proved its subscriptions are counted, too.
    const expected = PER_SECOND * ((TIMES.warmUpMs + measureMs) / 1000) + SUBSCRIBERS;
    const figures = await measureLatencies(
      fleet,
      source,
      { counted: SUBSCRIBERS, expected },
      { ...TIMES, measureMs },
      {
        begin() {
          const note = (requests = 1) => void (made += requests);
          attacking = (start?.(note) ?? Promise.resolve()).catch((error: Error) => void (failure = error));
        },
        end: () => stopping.abort(),
      },
    );
    await Promise.race([attacking, sleep(5_000)]);
    if (failure !== undefined) bench.say(`${ATTACKER} failed: ${failure.message}`);
    return { ...figures, attacks: made };
  }).finally(() => stopping.abort());
}

/** Delivers to each of the neighbour's subscriptions once, which proves it. */
async function prove({ api, subscribers }: Fleet): Promise<void> {
  for (const { tenant, type } of TARGETS) await api.send({ type, data: {}, tenant });
  while ((await subscribers.received(SUBSCRIBERS)) < SUBSCRIBERS) await sleep(50);
  // The rows note the successes a moment later.
  await sleep(1_000);
}
