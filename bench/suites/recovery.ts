import type { ServerResponse } from "node:http";
import { withProcesses } from "@postrider/testkit/processes/managed-process.ts";
import { startReceiver } from "@postrider/testkit/receiver/receiver.ts";
import { eventOf } from "@postrider/testkit/receiver/request.ts";
import { waitFor } from "@postrider/testkit/wait.ts";
import type { Database } from "../support/database.ts";
import { eventAt } from "../support/payloads.ts";
import { postriderEnv, prepareStack, reset } from "../support/postrider.ts";
import { type Comparison, type Figures, measureInRounds, withRatio } from "../support/rounds.ts";
import { scenario } from "./scenario.ts";
import type { Bench } from "./suite.ts";

const OURS = "Postrider";
const DEFAULTS = "BullMQ's default lock and check";
const IN_FLIGHT = 500;
/** Four deliveries for each, because a subscriber that doesn't answer gets few of a worker's slots. */
const TENANTS = 125;
const PATIENT = { within: 120_000, every: 20 };

/** How long it takes until another worker has delivered everything that a killed one had in flight. */
export const recovery = scenario(
  "recovery",
  `kill -9 of a worker with ${IN_FLIGHT} deliveries in flight: until another has delivered the last of them`,
  async (bench, database) => [await compare(bench, database)],
);

async function compare(bench: Bench, database: Database): Promise<Comparison> {
  const contenders = [
    { name: OURS, measure: () => recover(bench, database, {}) },
    // BullMQ's own 30 s each; the lock must not be shorter than the check.
    { name: DEFAULTS, measure: () => recover(bench, database, { LOCK_DURATION: "30s", STALLED_INTERVAL: "30s" }) },
  ].slice(0, bench.isQuick ? 1 : 2);
  const measured = await measureInRounds(contenders, bench.rounds, (line) => bench.say(`recovery: ${line}`));
  return {
    title: `recovery, ${IN_FLIGHT} deliveries in flight at the kill -9 of their worker`,
    columns: [
      { metric: "seconds", label: "seconds until the last is delivered", digits: 1 },
      { metric: "in flight", label: "in flight", digits: 0 },
      { metric: "twice", label: "sent twice", digits: 0 },
    ],
    measured,
    ratios: bench.isQuick
      ? []
      : [withRatio(measured, { label: "seconds", metric: "seconds", of: OURS, against: DEFAULTS })],
  };
}

function recover(bench: Bench, database: Database, settings: Record<string, string>): Promise<Figures> {
  const env = {
    ...postriderEnv(database.url, bench.servers.redisUrl),
    // A subscription may use at most half of a worker's slots.
    MAX_IN_FLIGHT: String(2 * IN_FLIGHT),
    DELIVERY_TIMEOUT: "60s",
    SHUTDOWN_DEADLINE: "70s",
    ...settings,
  };
  return withProcesses(async (adopt) => {
    await reset(database, bench.servers.redisUrl);
    const subscriber = await startSubscriber();
    try {
      const stack = await prepareStack(env);
      adopt(await stack.startIngest());
      for (let tenant = 0; tenant < TENANTS; tenant += 1) {
        await stack.api.subscribe({ url: subscriber.url, tenant: `tenant-${tenant}` });
      }
      const doomed = adopt(await stack.spawnWorker());
      const events = Array.from({ length: IN_FLIGHT }, (_, index) => ({
        ...eventAt(index),
        tenant: `tenant-${index % TENANTS}`,
      }));
      await stack.api.sendBatch(events);
      await waitFor("everything is in flight", () => subscriber.requests === IN_FLIGHT, PATIENT);
      adopt(await stack.startWorker());

      doomed.signal("SIGKILL");
      const killedAt = performance.now();
      subscriber.answer();
      await waitFor("the last is delivered", () => subscriber.answered.size === IN_FLIGHT, PATIENT);
      return {
        seconds: (performance.now() - killedAt) / 1000,
        "in flight": IN_FLIGHT,
        twice: subscriber.requests - IN_FLIGHT,
      };
    } finally {
      await subscriber.close();
    }
  });
}

/** Keeps requests waiting until `answer`, which drops the waiting ones, whose worker is dead by then. */
async function startSubscriber() {
  const waiting: ServerResponse[] = [];
  let isAnswering = false;
  const receiver = await startReceiver({ keepsRequests: false });
  const { url } = receiver.endpoint((request, response) => {
    subscriber.requests += 1;
    if (!isAnswering) return void waiting.push(response);
    subscriber.answered.add(eventOf(request));
    response.end("ok");
  });
  const subscriber = {
    url,
    requests: 0,
    answered: new Set<string>(),
    answer() {
      isAnswering = true;
      for (const response of waiting.splice(0)) response.destroy();
    },
    close: () => receiver.close(),
  };
  return subscriber;
}
