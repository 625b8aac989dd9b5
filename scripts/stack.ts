import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { readStackSettings, type StackSettings } from "../packages/shared/src/runtime/settings/stack.ts";
import { migrate } from "../packages/shared/src/store/migrate.ts";
import { DATA_DIR, ensureServices, readEnvironment, ROOT } from "./services/index.ts";
import { freePort, isFree } from "./services/ports.ts";
import type { Report } from "./services/report.ts";
import { claimCheckout } from "./services/running.ts";
import { adminPortSetting, chooseAdminPorts, type App } from "./stack/admin-ports.ts";
import { devSecrets } from "./stack/dev-secrets.ts";
import { appEnvironment } from "./stack/app-environment.ts";
import type { Print } from "./stack/print.ts";
import { SupervisedProcess } from "./stack/supervised-process.ts";

/** A whole Postrider on this machine: services, ingest, workers and console, supervised until `stop`. */
export interface Stack {
  apiUrl: string;
  consoleUrl: string;
  apiKey: string;
  consolePassword: string;
  databaseUrl: string;
  redisUrl: string;
  /** URL of the metrics by process name. */
  metricsUrls: Record<string, string>;
  /** Resolves with a reason if a process keeps exiting. The others run until `stop`. */
  failed: Promise<string>;
  stop(): Promise<void>;
}

export interface StackOptions {
  /** Settings that override the environment and `.env`. */
  env?: Record<string, string>;
  report: Report;
  print: Print;
  /** Aborts the start and stops the processes started so far. */
  signal?: AbortSignal;
}

const READY_DEADLINE_MS = 60_000;
/** Time beyond their own shutdown deadline before processes are killed. */
const GRACE_MS = 5_000;

/**
 * Starts all processes. If it throws, none is left running.
 *
 * @throws SettingsError; Error of one line if a port is taken, a service is missing or a process does not start
 */
export async function startStack({ env: over = {}, report, print, signal }: StackOptions): Promise<Stack> {
  const cleanUp: (() => Promise<void>)[] = [];
  const stop = async () => {
    for (const step of cleanUp.splice(0).toReversed()) await step();
  };
  try {
    const given = { ...readEnvironment(), ...over };
    const claim = await claimCheckout(DATA_DIR);
    cleanUp.push(async () => claim.release());
    const completed = complete(given, report);
    // Before anything is started. The URLs of services that are not running yet are filled in below.
    const settings = readStackSettings({
      DATABASE_URL: "postgres://pending",
      REDIS_URL: "redis://pending",
      ...completed,
    });
    const port = await publicPort("PORT", settings.port, settings.host);
    const consolePort = await publicPort("CONSOLE_PORT", settings.consolePort, settings.host);
    const services = await ensureServices({ env: given, report, isTemporary: true });
    cleanUp.push(() => services.stop());
    const { databaseUrl, redisUrl } = services;
    const { applied } = await migrate(databaseUrl);
    if (applied > 0) report(`${applied} migrations applied`);
    signal?.throwIfAborted();

    const names = [
      "ingest",
      ...Array.from({ length: settings.workers }, (_, index) => `worker-${index + 1}`),
      "console",
    ];
    const adminPorts = await chooseAdminPorts(settings.adminPort, settings.adminHost, names, report);
    const ownPorts = [port, consolePort, ...adminPorts.values(), portOf(databaseUrl, 5432), portOf(redisUrl, 6379)];
    const shared = {
      ...completed,
      DATABASE_URL: databaseUrl,
      REDIS_URL: redisUrl,
      PORT: String(port),
      CONSOLE_PORT: String(consolePort),
      OWN_PORTS: [...settings.ownPorts, ...ownPorts].join(","),
    };
    const processes = names.map((name) => {
      const app = name.split("-")[0] as App;
      const script = join(ROOT, "apps", app, "src/main.ts");
      const own = { ...appEnvironment(app, shared), ADMIN_PORT: adminPortSetting(app, adminPorts.get(name)!) };
      return new SupervisedProcess({ name, script, cwd: ROOT, env: own, onLine: (line) => print(name, line) });
    });
    cleanUp.push(() => stopAll(processes, settings));
    const failed = firstFailure(processes);
    const host = reachable(settings.host);
    const [apiUrl, consoleUrl] = [`http://${host}:${port}`, `http://${host}:${consolePort}`];
    claim.publish({ api: apiUrl, console: consoleUrl });
    const gaveUp = failed.then((reason) => Promise.reject(new Error(reason)));
    // It may reject after the race; without a handler that would be an unhandled rejection.
    gaveUp.catch(() => undefined);
    await Promise.race([
      gaveUp,
      Promise.all([waitUntilReady(`${apiUrl}/readyz`, signal), waitUntilReady(`${consoleUrl}/healthz`, signal)]),
    ]);
    return {
      apiUrl,
      consoleUrl,
      apiKey: settings.apiKeys[0]!,
      consolePassword: settings.consolePassword,
      databaseUrl,
      redisUrl,
      metricsUrls: Object.fromEntries(
        [...adminPorts].map(([name, at]) => [name, `http://${reachable(settings.adminHost)}:${at}/metrics`]),
      ),
      failed,
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

type Env = Record<string, string | undefined>;

/** Adds development values for secrets and ALLOWED_NETWORKS. */
function complete(env: Env, report: Report): Env {
  const completed = { ...env, ...devSecrets(DATA_DIR, env) };
  if (env["ALLOWED_NETWORKS"]?.trim()) return completed;
  report("ALLOWED_NETWORKS is not set: deliveries to this machine (127.0.0.0/8, ::1) are allowed");
  return { ...completed, ALLOWED_NETWORKS: "127.0.0.0/8,::1/128" };
}

const portOf = (url: string, defaultPort: number): number => Number(new URL(url).port) || defaultPort;

async function publicPort(setting: string, port: number, host: string): Promise<number> {
  if (port === 0) return freePort();
  if (await isFree(port, host)) return port;
  throw new Error(
    `${setting} ${port} is in use on ${host}: set ${setting} to a free port, or stop the process that uses it`,
  );
}

/** Signals the workers first, so that they fetch no new work that ingest still dispatches. */
async function stopAll(processes: readonly SupervisedProcess[], { shutdownDeadlineMs }: StackSettings): Promise<void> {
  const isWorker = ({ name }: SupervisedProcess) => name.startsWith("worker");
  const inOrder = [...processes.filter(isWorker), ...processes.filter((one) => !isWorker(one))];
  await Promise.all(inOrder.map((one) => one.stop(shutdownDeadlineMs + GRACE_MS)));
}

/** Also kills all processes when this one exits. */
function firstFailure(processes: readonly SupervisedProcess[]): Promise<string> {
  const killAll = () => processes.forEach((one) => one.kill());
  process.once("exit", killAll);
  void Promise.all(processes.map(({ ended }) => ended)).then(() => process.off("exit", killAll));
  return new Promise((resolve) => {
    for (const { ended } of processes) void ended.then((reason) => reason !== undefined && resolve(reason));
  });
}

/** Wildcard addresses are for listening; clients connect to loopback. */
const reachable = (host: string): string =>
  host === "0.0.0.0" || host === "::" ? "127.0.0.1" : host.includes(":") ? `[${host}]` : host;

async function waitUntilReady(url: string, signal: AbortSignal | undefined): Promise<void> {
  const deadline = Date.now() + READY_DEADLINE_MS;
  for (;;) {
    signal?.throwIfAborted();
    const response = await fetch(url, { signal: AbortSignal.timeout(2_000) }).catch(() => undefined);
    await response?.text();
    if (response?.ok) return;
    if (Date.now() > deadline) throw new Error(`${url} did not respond within ${READY_DEADLINE_MS / 1_000} s`);
    await pause(100);
  }
}
