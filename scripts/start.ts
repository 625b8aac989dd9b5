import { SettingsError } from "../packages/shared/src/runtime/settings/read.ts";
import { waitForShutdown } from "../packages/shared/src/runtime/process/shutdown-signal.ts";
import { readArguments } from "./arguments.ts";
import { DATA_DIR } from "./services/index.ts";
import { startStack, type Stack } from "./stack.ts";
import { createPrinter } from "./stack/print.ts";

const HELP = `Usage: npm start [-- --quiet]

Runs all of Postrider on this machine: PostgreSQL and Redis (unless DATABASE_URL and REDIS_URL are set), the API,
WORKERS worker processes and the console. Settings come from the environment and from .env (see .env.example). Missing
secrets are generated once and stored in .data/. Ctrl-C stops everything.

  --quiet  only logs warnings and errors
  --help
`;

const { values } = readArguments(HELP, { quiet: { type: "boolean" } });
const print = createPrinter(values.quiet ?? false);
const report = (line: string) => print("postrider", line);
const stopping = new AbortController();
const shutdown = waitForShutdown().then((reason) => {
  stopping.abort();
  report(`${reason}: stopping (press Ctrl-C again to exit immediately)`);
  return undefined;
});

const stack = await startStack({ report, print, signal: stopping.signal }).catch((error: unknown) => {
  if (stopping.signal.aborted) process.exit(0);
  report(error instanceof SettingsError ? error.message : `could not start: ${(error as Error).message}`);
  process.exit(1);
});
console.log(summary(stack));
const failure = await Promise.race([shutdown, stack.failed]);
if (failure !== undefined) report(`${failure}: stopping everything`);
await stack.stop();
report("stopped");
process.exit(failure === undefined ? 0 : 1);

function summary({ apiUrl, consoleUrl, apiKey, consolePassword, metricsUrls, databaseUrl }: Stack): string {
  const metrics = Object.entries(metricsUrls).map(([name, url]) => `${name} ${url}`);
  return `
  Postrider is running.

    API       ${apiUrl}
    API key   ${apiKey}
    Console   ${consoleUrl}/queues   user "operator", password "${consolePassword}"
    Metrics   ${metrics.join("\n              ")}
    Database  ${databaseUrl}
    Data      ${DATA_DIR}

  Send an event, from a second terminal. The first command is a receiver; without it, deliveries are retried, then dead.

    node -e 'require("http").createServer((q, s) => { q.pipe(process.stdout); s.end() }).listen(4000, "127.0.0.1")' &
    curl -s ${apiUrl}/v1/subscriptions -H 'authorization: Bearer ${apiKey}' \\
      -H 'content-type: application/json' -d '{"url":"http://127.0.0.1:4000/","eventTypes":["order.*"]}'
    curl -s ${apiUrl}/v1/events -H 'authorization: Bearer ${apiKey}' \\
      -H 'content-type: application/json' -d '{"type":"order.created","data":{"id":1}}'

  Ctrl-C stops everything.
`;
}
