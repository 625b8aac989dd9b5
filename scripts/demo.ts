import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { parseArgs } from "node:util";
import { SettingsError } from "../packages/shared/src/runtime/settings/read.ts";
import { connect, deliveriesOf, type Api, type DeliveryView } from "./demo/api.ts";
import { POISON_TYPE, realPayloads } from "./demo/payloads.ts";
import { Receiver, type Subscriber } from "./demo/receiver.ts";
import { DATA_DIR } from "./services/index.ts";
import { startStack, type Stack } from "./stack.ts";
import { createPrinter } from "./stack/print.ts";

const HELP = `Usage: npm run demo [-- --events N] [--keep] [--url URL --api-key KEY]

Posts real GitHub webhook payloads to Postrider and follows them to four subscribers: one that works, one that is down at
first and comes back, one that is dead, and one that can never take one type of event. Every signature is verified by the
npm package standardwebhooks. Uses the Postrider that runs (npm start) or starts one for the time of the demo.

  --events N      how many events to post (default 200)
  --keep          leave a Postrider that was started for the demo running until Ctrl-C, to look around in the console
  --url, --api-key  a running Postrider that is not the one of npm start; it must be allowed to deliver to 127.0.0.1
  --help
`;

const { values } = parseArgs({
  options: {
    help: { type: "boolean", short: "h" },
    events: { type: "string", default: "200" },
    keep: { type: "boolean" },
    url: { type: "string" },
    "api-key": { type: "string" },
  },
});
if (values.help) {
  console.log(HELP);
  process.exit(0);
}

const DEFAULT_API = "http://127.0.0.1:3000";
const TENANT = "demo";
const RETRY_SCHEDULE = ["250ms", "500ms", "1s"];
/** No second try, so that dead letters are there to see at the end of the demo. */
const NO_RETRIES: string[] = [];
/** How long "recovers" is down. */
const DOWN_MS = 3_000;
/** Of a Postrider that is started for the demo: a breaker's 60 s are long to look at. */
const BREAKER_COOLDOWN = "2s";
const POSTERS = 8;
const SETTLE_DEADLINE_MS = 120_000;

interface Run {
  name: string;
  id: string;
  subscriber: Subscriber;
  deliveries: DeliveryView[];
}

const stopping = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => stopping.abort());
const receiver = new Receiver();
let stack: Stack | undefined;
let exitCode = 1;
try {
  const api = await findOrStart();
  exitCode = (await tell(api)) ? 0 : 1;
  if (stack && values.keep) {
    console.log("\nPostrider keeps running; Ctrl-C stops it.");
    await new Promise((resolve) => stopping.signal.addEventListener("abort", resolve));
  }
} catch (error) {
  if (stopping.signal.aborted) console.error("\nstopped");
  else console.error(error instanceof SettingsError ? error.message : `the demo failed: ${(error as Error).message}`);
} finally {
  await receiver.close();
  await stack?.stop();
}
process.exit(exitCode);

async function findOrStart(): Promise<Api> {
  const secrets = join(DATA_DIR, "dev-secrets.json");
  const kept = existsSync(secrets) ? (JSON.parse(readFileSync(secrets, "utf8")) as { API_KEYS?: string }) : {};
  const url = values.url ?? DEFAULT_API;
  const key = values["api-key"] ?? process.env["API_KEYS"]?.split(",")[0] ?? kept.API_KEYS;
  if (await isReady(url)) {
    if (key === undefined) throw new Error(`a Postrider runs at ${url}: give its key with --api-key`);
    console.log(`Using the Postrider at ${url}`);
    return connect(url, key);
  }
  if (values.url !== undefined) throw new Error(`nothing answers at ${url}/readyz`);
  console.log("Starting a Postrider for the time of the demo …");
  const print = createPrinter(true);
  // Failed attempts are the point of the demo; its table tells them.
  stack = await startStack({
    env: { LOG_LEVEL: "error", BREAKER_COOLDOWN: process.env["BREAKER_COOLDOWN"] ?? BREAKER_COOLDOWN },
    say: (line) => print("postrider", line),
    print,
    signal: stopping.signal,
  });
  return connect(stack.apiUrl, stack.apiKey);
}

async function isReady(url: string): Promise<boolean> {
  const answer = await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(2_000) }).catch(() => undefined);
  // Another program may have the port: only our own answer counts.
  const body = (await answer?.json().catch(() => undefined)) as { checks?: unknown } | undefined;
  return body?.checks !== undefined;
}

async function tell(api: Api): Promise<boolean> {
  const base = await receiver.listen();
  const old = await api.call<{ data: { id: string }[] }>("GET", `/v1/subscriptions?tenant=${TENANT}&limit=200`);
  for (const { id } of old.data) await api.call("DELETE", `/v1/subscriptions/${id}`);

  const subscribe = async (
    name: string,
    behaviour: Subscriber["behaviour"],
    retrySchedule = RETRY_SCHEDULE,
  ): Promise<Run> => {
    const subscriber = receiver.add(`/${name}`, behaviour);
    const { id, secret } = await api.call<{ id: string; secret: string }>("POST", "/v1/subscriptions", {
      url: `${base}/${name}`,
      eventTypes: ["github.*"],
      tenant: TENANT,
      description: `demo: ${name}`,
      retrySchedule,
    });
    subscriber.secret = secret;
    return { name, id, subscriber, deliveries: [] };
  };
  const downUntil = Date.now() + DOWN_MS;
  const works = await subscribe("works", () => 200);
  const recovers = await subscribe("recovers", () => (Date.now() < downUntil ? 500 : 200));
  const dead = await subscribe("dead", () => 503);
  const picky = await subscribe("picky", (type) => (type === POISON_TYPE ? 422 : 200), NO_RETRIES);
  const runs = [works, recovers, dead, picky];

  const count = Number(values.events);
  if (!Number.isInteger(count) || count < 1 || count > 100_000) throw new Error("--events must be 1 to 100000");
  const startedAt = Date.now();
  const acceptedAt = await postAll(api, count);
  await settle(api, runs, count);
  return report(runs, acceptedAt, Date.now() - startedAt);
}

/** @returns event id → when its 202 came, Unix milliseconds */
async function postAll(api: Api, count: number): Promise<Map<string, number>> {
  const payloads = realPayloads(count);
  const acceptedAt = new Map<string, number>();
  const post = async () => {
    for (let next = payloads.pop(); next && !stopping.signal.aborted; next = payloads.pop()) {
      const { id } = await api.call<{ id: string }>("POST", "/v1/events", { ...next, tenant: TENANT });
      acceptedAt.set(id, Date.now());
      progress(`accepted ${acceptedAt.size}/${count}`);
    }
  };
  await Promise.all(Array.from({ length: POSTERS }, post));
  stopping.signal.throwIfAborted();
  return acceptedAt;
}

/** Waits until nothing is pending or retrying any more, and nothing is held for the one that comes back. */
async function settle(api: Api, runs: readonly Run[], count: number): Promise<void> {
  const deadline = Date.now() + SETTLE_DEADLINE_MS;
  for (;;) {
    stopping.signal.throwIfAborted();
    for (const run of runs) run.deliveries = await deliveriesOf(api, run.id);
    const all = runs.flatMap(({ deliveries }) => deliveries);
    const waiting = all.filter(({ status }) => status === "pending" || status === "retrying").length;
    // What is held for the dead one is held for as long as it is dead; the others' must get through.
    const held = runs
      .filter(({ name }) => name !== "dead")
      .flatMap(({ deliveries }) => deliveries.filter(({ status }) => status === "held")).length;
    progress(
      `accepted ${count}/${count}, settled ${all.length - waiting - held}/${all.length}${held > 0 ? `, ${held} held until the breaker's next probe` : ""}`,
    );
    if (waiting + held === 0) break;
    if (Date.now() > deadline)
      throw new Error(`${waiting + held} deliveries did not settle within ${SETTLE_DEADLINE_MS / 1000} s`);
    await pause(250, undefined, { signal: stopping.signal });
  }
  progress("");
}

function report(runs: readonly Run[], acceptedAt: ReadonlyMap<string, number>, tookMs: number): boolean {
  const countOf = (run: Run, status: string) => run.deliveries.filter((delivery) => delivery.status === status).length;
  console.log(
    `\n${acceptedAt.size} events accepted, ${runs.reduce((sum, run) => sum + run.deliveries.length, 0)} deliveries, in ${(tookMs / 1000).toFixed(1)} s\n`,
  );
  console.table(
    Object.fromEntries(
      runs.map((run) => [
        run.name,
        {
          deliveries: run.deliveries.length,
          delivered: countOf(run, "delivered"),
          retried: run.deliveries.filter(({ attemptCount }) => attemptCount > 1).length,
          held: countOf(run, "held"),
          dead: countOf(run, "dead"),
          requests: run.subscriber.requests,
          "signatures verified": run.subscriber.verified,
        },
      ]),
    ),
  );
  const [works, recovers, dead, picky] = runs as [Run, Run, Run, Run];
  const latencies = [...works.subscriber.receivedAt]
    .map(([id, at]) => Math.max(0, at - acceptedAt.get(id)!))
    .sort((a, b) => a - b);
  const percentile = (share: number) =>
    latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))] ?? Number.NaN;
  console.log(`From the 202 to the receipt at "works": p50 ${percentile(0.5)} ms, p95 ${percentile(0.95)} ms`);

  const poison = picky.deliveries.filter(({ eventType }) => eventType === POISON_TYPE);
  const checks: [string, boolean][] = [
    [
      `every event reached "works"`,
      countOf(works, "delivered") === acceptedAt.size && works.subscriber.receivedAt.size === acceptedAt.size,
    ],
    [
      `every event reached "recovers", though it was down for ${DOWN_MS / 1000} s`,
      countOf(recovers, "delivered") === acceptedAt.size && recovers.subscriber.receivedAt.size === acceptedAt.size,
    ],
    [
      `nothing for "dead" was lost, and it cost ${dead.subscriber.requests} requests`,
      countOf(dead, "dead") + countOf(dead, "held") === acceptedAt.size,
    ],
    [
      `${POISON_TYPE} ended as a dead letter at "picky"`,
      poison.length > 0 && poison.every(({ status }) => status === "dead") && countOf(picky, "dead") === poison.length,
    ],
    ["every signature was genuine", runs.every(({ subscriber }) => subscriber.verified === subscriber.requests)],
  ];
  console.log();
  for (const [what, holds] of checks) console.log(`  ${holds ? "✓" : "✗"} ${what}`);
  console.log(lookNext(poison[0]));
  return checks.every(([, holds]) => holds);
}

function lookNext(deadLetter: DeliveryView | undefined): string {
  const running = stack === undefined || values.keep === true;
  const consoleUrl = stack?.consoleUrl ?? "http://127.0.0.1:3001";
  const open = running ? "" : "  npm start                 brings Postrider up again, with all of this still in it\n";
  return `
Where to look next
${open}  ${consoleUrl}/queues/queue/retry?status=failed    the dead letters in Bull Board; Retry there is a manual retry
  GET /v1/deliveries/${deadLetter?.id ?? "{id}"}    a dead letter and its attempts
  GET /v1/subscriptions?tenant=${TENANT}                   the four subscriptions, their breakers and what is held of them`;
}

function progress(line: string): void {
  if (process.stdout.isTTY) process.stdout.write(`\r\u001B[K${line}`);
}
