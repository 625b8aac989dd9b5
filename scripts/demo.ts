import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { SettingsError } from "@postrider/shared/runtime/settings/read.ts";
import { Client } from "@postrider/testkit/client/client.ts";
import { startReceiver } from "@postrider/testkit/receiver/receiver.ts";
import { readArguments, refuseArguments, wholeNumber } from "./arguments.ts";
import { report } from "./demo/report.ts";
import { runDemo } from "./demo/scenario.ts";
import { DATA_DIR, readEnvironment } from "./services/index.ts";
import { findRunning } from "./services/running.ts";
import { startStack, type Stack } from "./stack.ts";
import { createPrinter } from "./stack/print.ts";

const HELP = `Usage: npm run demo [-- --events N] [--keep] [--url URL --api-key KEY]

Posts real GitHub webhook payloads to Postrider and follows them to four subscribers: one works, one is down at first
and recovers, one is dead, and one rejects one type of event. Every signature is verified by the npm package
standardwebhooks. Uses a running Postrider (npm start) or starts one for the demo.

  --events N      number of events to post (default 200)
  --keep          keeps a Postrider that the demo started running until Ctrl-C, to explore the console
  --url, --api-key  a Postrider other than npm start's; it must be allowed to deliver to 127.0.0.1
  --help
`;

const { values } = readArguments(HELP, {
  events: { type: "string", default: "200" },
  keep: { type: "boolean" },
  url: { type: "string" },
  "api-key": { type: "string" },
});
const events = wholeNumber("events", values.events, HELP, 1, 100_000)!;
const { url: givenUrl } = values;
if (givenUrl !== undefined && !/^https?:$/.test(URL.parse(givenUrl)?.protocol ?? "")) {
  refuseArguments(`--url must be a URL such as http://127.0.0.1:3000 (got '${givenUrl}')`, HELP);
}

const env = readPlainEnvironment();
const DEFAULT_API = `http://127.0.0.1:${env["PORT"] ?? 3000}`;
const DEFAULT_CONSOLE = `http://127.0.0.1:${env["CONSOLE_PORT"] ?? 3001}`;
/** For a Postrider that the demo starts; the default of 60 s is too long to watch. */
const BREAKER_COOLDOWN = "2s";

const stopping = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => stopping.abort());
const receiver = await startReceiver({ keepsRequests: false });
let stack: Stack | undefined;
let runningConsole: string | undefined;
let exitCode = 1;
try {
  const api = await findOrStart();
  const options = { api, receiver, events, signal: stopping.signal, progress };
  const isRunning = stack === undefined || values.keep === true;
  exitCode = report(await runDemo(options), stack?.consoleUrl ?? runningConsole ?? DEFAULT_CONSOLE, isRunning) ? 0 : 1;
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

/** Exits with the reason if a setting is refused. */
function readPlainEnvironment() {
  try {
    return readEnvironment();
  } catch (error) {
    console.error((error as Error).message);
    process.exit(1);
  }
}

async function findOrStart(): Promise<Client> {
  const secrets = join(DATA_DIR, "dev-secrets.json");
  const kept = existsSync(secrets) ? (JSON.parse(readFileSync(secrets, "utf8")) as { API_KEYS?: string }) : {};
  const ofCheckout = await findRunning(DATA_DIR);
  const url = givenUrl ?? ofCheckout?.urls?.api ?? DEFAULT_API;
  // A Postrider of another checkout has other keys.
  const ours = givenUrl === undefined && ofCheckout !== undefined ? kept.API_KEYS : undefined;
  const key = values["api-key"] ?? env["API_KEYS"]?.split(",")[0]!.trim() ?? ours;
  if (await isReady(url)) {
    if (key === undefined) throw new Error(`a Postrider is running at ${url}: pass its key with --api-key`);
    console.log(`Using the Postrider at ${url}`);
    runningConsole = ofCheckout?.urls?.console;
    return new Client(url, key);
  }
  if (givenUrl !== undefined) throw new Error(`${url}/readyz does not respond`);
  console.log("Starting a Postrider for the demo …");
  const print = createPrinter(true);
  stack = await startStack({
    // The demo's table shows the failed attempts.
    env: { LOG_LEVEL: "error", BREAKER_COOLDOWN: env["BREAKER_COOLDOWN"] ?? BREAKER_COOLDOWN },
    report: (line) => print("postrider", line),
    print,
    signal: stopping.signal,
  });
  return new Client(stack.apiUrl, stack.apiKey);
}

async function isReady(url: string): Promise<boolean> {
  const answer = await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(2_000) }).catch(() => undefined);
  // Another program may use the port, so the response must be Postrider's.
  const body = (await answer?.json().catch(() => undefined)) as { checks?: unknown } | undefined;
  return body?.checks !== undefined;
}

/** Rewrites one line of a terminal; prints nothing if stdout is not a terminal. */
function progress(line: string): void {
  if (process.stdout.isTTY) process.stdout.write(`\r\u001B[K${line}`);
}
