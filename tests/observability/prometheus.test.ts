import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { setTimeout } from "node:timers/promises";
import { Redis } from "ioredis";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { newTenant } from "@postrider/testkit/factories/events.ts";
import {
  MissingProgram,
  type Prometheus,
  type Sample,
  startPrometheus,
} from "@postrider/testkit/processes/prometheus.ts";
import { answer } from "@postrider/testkit/receiver/behaviours.ts";
import { newSubscriber } from "@postrider/testkit/stack/subscriber.ts";
import { skipBecause, useStack } from "@postrider/testkit/vitest.ts";
import { waitFor } from "@postrider/testkit/wait.ts";
import { DASHBOARDS } from "../../observability/dashboards.ts";

const rules = readFileSync(resolve(import.meta.dirname, "../../observability/prometheus/rules.yml"), "utf8");
/** The same alerts, which need their reason for a second only. */
const impatient = rules.replaceAll(/for: \d+m/g, "for: 1s");
const PATIENCE = { within: 60_000, every: 500 };

const e2e = useStack({ workers: 2, console: true, env: { WATCHDOG_INTERVAL: "1s" } });
let prometheus: Prometheus;
let missing: string | undefined;
let traffic: { stop(): Promise<void> } | undefined;

beforeAll(async () => {
  const { ingest, workers, console } = e2e.stack;
  const targets = {
    "postrider-ingest": [ingest.adminUrl],
    "postrider-worker": workers.map(({ adminUrl }) => adminUrl),
    "postrider-console": [console!.adminUrl],
  };
  try {
    prometheus = await startPrometheus(targets, impatient);
  } catch (error) {
    if (!(error instanceof MissingProgram)) throw error;
    missing = error.message;
  }
});
beforeEach((context) => {
  if (missing !== undefined) skipBecause(context, missing);
});
afterAll(async () => {
  await traffic?.stop();
  await prometheus?.stop();
});

/** Sends a few events every half a second until it is stopped: few enough that the dead letters of one test are a visible share. */
function startTraffic() {
  const stopping = new AbortController();
  const work = (async () => {
    const healthy = await newSubscriber(e2e);
    while (!stopping.signal.aborted) {
      await healthy.send(4);
      await e2e.api.send({ type: "order.created", data: null, tenant: healthy.tenant });
      await setTimeout(500, undefined, { signal: stopping.signal }).catch(() => undefined);
    }
  })();
  return {
    async stop() {
      stopping.abort();
      await work;
    },
  };
}

const firing = async (): Promise<string[]> =>
  (await prometheus.rules()).filter(({ state }) => state === "firing").map(({ name }) => name);

const untilFiring = (...names: string[]) =>
  waitFor(
    `${names.join(", ")} fire`,
    async () => {
      const all = await firing();
      if (names.every((name) => all.includes(name))) return true;
      throw new Error(`firing: ${all.join(", ")}`);
    },
    PATIENCE,
  );

const isKnown = ({ value: [, value] }: Sample): boolean => value !== "NaN";

/** The series that an expression reads, even if its condition is false: comparisons become 0 or 1, `absent` a count. */
const withoutCondition = (expression: string): string =>
  expression.replaceAll(/ (>|<|>=|<=|==|!=) (?!bool)/g, " $1 bool ").replaceAll("absent(", "count(");

// The tests build on each other: a healthy fleet, a fleet in trouble, a fleet that has ended.
test("Prometheus scrapes every process, and no alert fires in a healthy fleet", async () => {
  await waitFor("four targets are up", async () => (await prometheus.targetsUp()) === 4, PATIENCE);
  traffic = startTraffic();
  const delivered = 'sum(postrider_delivery_transitions_total{state="delivered"})';
  await waitFor(
    "deliveries are counted",
    async () => Number((await prometheus.query(delivered))[0]?.value[1]) > 50,
    PATIENCE,
  );
  await waitFor(
    "the rules are evaluated",
    async () => (await prometheus.rules()).every(({ health }) => health === "ok"),
    PATIENCE,
  );
  expect(await firing()).toEqual([]);
});

test("every query of every panel and rule returns data", async () => {
  const redis = new Redis(e2e.stack.redisUrl);
  await redis.config("SET", "maxmemory", "2gb");
  redis.disconnect();
  const dead = await newSubscriber(e2e, answer(500), { retrySchedule: ["100ms", "200ms"] });
  await dead.send(3);
  const refused = newTenant();
  await e2e.api.subscribe({ tenant: refused, url: "http://127.0.0.1:9/hook" });
  await e2e.api.sendBatch(Array.from({ length: 20 }, (_, data) => ({ type: "order.created", data, tenant: refused })));
  await e2e.api.call("POST", "/v1/events", { body: { type: "" } });
  const panels = DASHBOARDS.flatMap(({ uid, panels: all }) =>
    all.flatMap(({ title, queries }) => queries.map(({ expr }) => ({ what: `${uid}: ${title}`, expr }))),
  ).map(({ what, expr }) => ({ what, expr: expr.replaceAll("$__rate_interval", "1m") }));
  const ofRules = (await prometheus.rules()).map(({ name, query }) => ({
    what: name,
    expr: withoutCondition(query),
  }));
  const silent = new Map([...panels, ...ofRules].map(({ what, expr }) => [`${what}: ${expr}`, expr]));
  expect(silent.size).toBeGreaterThan(80);
  await waitFor(
    "every query answers",
    async () => {
      for (const [what, expr] of silent) if ((await prometheus.query(expr)).some(isKnown)) silent.delete(what);
      if (silent.size > 0) throw new Error([...silent.keys()].join("\n"));
      return true;
    },
    PATIENCE,
  );
}, 120_000);

test("fleet metrics are exported once, whatever the number of workers", async () => {
  for (const name of ["postrider_oldest_due_seconds", "postrider_workers", 'postrider_breakers{state="open"}']) {
    expect(await prometheus.query(name)).toHaveLength(1);
  }
  expect((await prometheus.query("postrider_workers"))[0]?.value[1]).toBe("2");
});

test("alerts fire for dead letters and for many failing subscribers", async () => {
  const failing = await Promise.all(
    Array.from({ length: 60 }, () => newSubscriber(e2e, answer(500), { retrySchedule: [] })),
  );
  await Promise.all(failing.map((subscriber) => subscriber.send(6)));
  await untilFiring("PostriderManyBreakersOpen");
  const gentle = await newSubscriber(e2e, answer(410));
  await gentle.send(1);
  await untilFiring("PostriderDeadLetters", "PostriderErrorBudgetBurnFast");
}, 120_000);

test("alerts fire for missing workers and a missing ingest", async () => {
  await traffic?.stop();
  traffic = undefined;
  for (const worker of e2e.stack.workers) await worker.kill("SIGKILL");
  await untilFiring("PostriderWorkerAbsent", "PostriderNoData");
  await e2e.stack.ingest.kill("SIGKILL");
  await untilFiring("PostriderIngestAbsent");
}, 120_000);
