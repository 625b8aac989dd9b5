import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { freePort } from "../../scripts/services/ports.ts";
import { withChildren } from "../support/child.ts";
import type { Database } from "../support/database.ts";
import { eventAt } from "../support/payloads.ts";
import { answers, post, postriderEnv, reset, startIngest, startWorker } from "../support/postrider.ts";
import { type Comparison, type Figures, measureInRounds, withRatio } from "../support/rounds.ts";
import { scenario } from "./scenario.ts";
import type { Bench } from "./suite.ts";

const OURS = "Postrider";
const DEFAULTS = "BullMQ's default lock and check";
const IN_FLIGHT = 500;
/** Four deliveries for each: a subscriber that does not answer has few of a worker's slots. */
const TENANTS = 125;
const DEADLINE_MS = 120_000;

/** How long what a killed worker had in flight takes to be delivered by another. */
export const recovery = scenario(
  "recovery",
  `kill -9 of a worker with ${IN_FLIGHT} deliveries in flight: until another has delivered the last of them`,
  async (bench, database) => [await compare(bench, database)],
);

async function compare(bench: Bench, database: Database): Promise<Comparison> {
  const contenders = [
    { name: OURS, measure: () => recover(bench, database, {}) },
    // 30 s each, as BullMQ has them; the lock may not be shorter than the check.
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
    // No subscription has more slots than it leaves free.
    MAX_IN_FLIGHT: String(2 * IN_FLIGHT),
    DELIVERY_TIMEOUT: "60s",
    SHUTDOWN_DEADLINE: "70s",
    ...settings,
  };
  return withChildren(async (adopt) => {
    await reset(database, bench.servers.redisUrl);
    const subscriber = await startSubscriber();
    try {
      const { origin } = await startIngest(env, adopt, undefined);
      for (let tenant = 0; tenant < TENANTS; tenant += 1) {
        await post(origin, "/v1/subscriptions", { url: subscriber.url, tenant: `tenant-${tenant}` });
      }
      const doomed = adopt(startWorker(env, undefined));
      const events = Array.from({ length: IN_FLIGHT }, (_, index) => ({
        ...eventAt(index),
        tenant: `tenant-${index % TENANTS}`,
      }));
      await post(origin, "/v1/events/batch", { events });
      await until("everything is in flight", () => subscriber.requests === IN_FLIGHT);
      const adminPort = await freePort();
      // A worker's admin port is the one after ADMIN_PORT.
      adopt(startWorker({ ...env, ADMIN_PORT: String(adminPort - 1) }, undefined));
      await until("the other worker is ready", () => answers(`http://127.0.0.1:${adminPort}/readyz`));

      process.kill(doomed.pid, "SIGKILL");
      const killedAt = performance.now();
      subscriber.answer();
      await until("the last is delivered", () => subscriber.answered.size === IN_FLIGHT);
      return {
        seconds: (performance.now() - killedAt) / 1000,
        "in flight": IN_FLIGHT,
        twice: subscriber.requests - IN_FLIGHT,
      };
    } finally {
      subscriber.close();
    }
  });
}

/** Keeps everybody waiting until it is told to answer; those who were waiting are gone by then. */
async function startSubscriber() {
  const waiting: ServerResponse[] = [];
  const subscriber = {
    url: "",
    requests: 0,
    answered: new Set<string>(),
    answer: () => {
      isAnswering = true;
      for (const response of waiting.splice(0)) response.destroy();
    },
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
  let isAnswering = false;
  const server = createServer((incoming, response) => {
    incoming.resume().once("end", () => {
      subscriber.requests += 1;
      if (!isAnswering) return void waiting.push(response);
      subscriber.answered.add(String(incoming.headers["webhook-id"]));
      response.end("ok");
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  subscriber.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`;
  return subscriber;
}

async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + DEADLINE_MS;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`not within ${DEADLINE_MS / 1000} s: ${what}`);
    await sleep(20);
  }
}
