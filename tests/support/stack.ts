import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes, randomInt, randomUUID } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:net";
import { resolve } from "node:path";
import { afterAll, beforeAll, beforeEach } from "vitest";
import { Client } from "./client.ts";
import { createTestDatabase } from "./database.ts";
import { type Receiver, startReceiver } from "./receiver.ts";
import { claimTestRedis } from "./redis.ts";
import { waitFor, withDeadline } from "./wait.ts";

type Env = Record<string, string>;
type App = "ingest" | "worker" | "console";

const root = resolve(import.meta.dirname, "../..");
/** ADMIN_PORT is ingest's; the worker's and the console's are the next two. */
const adminPortOffset: Record<App, number> = { ingest: 0, worker: 1, console: 2 };
const shutdownDeadlineMs = 3_000;

/** Every time-based behaviour in seconds, so that a test can see it. */
const shortTimes: Env = {
  RETRY_SCHEDULE: "100ms,200ms,400ms",
  DELIVERY_TIMEOUT: "1s",
  SHUTDOWN_DEADLINE: `${shutdownDeadlineMs}ms`,
  WATCHDOG_INTERVAL: "1s",
  LOCK_DURATION: "2s",
  STALLED_INTERVAL: "1s",
  BREAKER_COOLDOWN: "1s",
};

/** For tests that count requests: a machine that is busy elsewhere must not make a timeout, and with it a repeat. */
export const patient: Env = { DELIVERY_TIMEOUT: "2500ms" };

export interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

/** One child process and what it has said. */
export class AppProcess {
  readonly name: string;
  readonly adminUrl: string;
  readonly exit: Promise<Exit>;
  /** Its end was asked for by the test. */
  wasKilled = false;
  private readonly child: ChildProcess;
  private readonly lines: string[] = [];

  constructor(name: string, app: App, env: Env) {
    this.name = name;
    this.adminUrl = `http://127.0.0.1:${Number(env["ADMIN_PORT"]) + adminPortOffset[app]}`;
    this.child = spawn(process.execPath, [`apps/${app}/src/main.ts`], {
      cwd: root,
      env: { PATH: process.env["PATH"] ?? "", HOME: process.env["HOME"] ?? "", ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.exit = once(this.child, "close").then(([code, signal]): Exit => ({ code, signal }));
    const killWithUs = () => this.child.kill("SIGKILL");
    process.once("exit", killWithUs);
    this.child.once("close", () => process.off("exit", killWithUs));
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream?.setEncoding("utf8").on("data", (text: string) => {
        this.lines.push(...text.trimEnd().split("\n"));
        this.lines.splice(0, this.lines.length - 500);
      });
    }
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  get isRunning(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  /** Sends the signal and answers how the process ended; it must end by its own shutdown deadline and a second. */
  async kill(signal: NodeJS.Signals = "SIGTERM"): Promise<Exit> {
    this.wasKilled = true;
    this.child.kill(signal);
    return withDeadline(`${this.name} exits after ${signal}`, shutdownDeadlineMs + 1_000, this.exit);
  }

  output(lastLines = 500): string {
    return this.lines.slice(-lastLines).join("\n");
  }
}

export interface StackOptions {
  workers?: number;
  console?: boolean;
  /** For every process, over the defaults. */
  env?: Env;
}

export interface Stack {
  api: Client;
  ingest: AppProcess;
  /** In the order of their start, those that have ended too. */
  workers: AppProcess[];
  console: AppProcess | undefined;
  consoleUrl: string;
  databaseUrl: string;
  redisUrl: string;
  startWorker(env?: Env): Promise<AppProcess>;
  /** Ends the running ingest with this signal, if it runs, and starts another on the same port. */
  restartIngest(signal?: NodeJS.Signals, env?: Env): Promise<AppProcess>;
  /** What each process said last. */
  output(): string;
  stop(): Promise<void>;
}

/** The settings that all processes of one stack share. */
export function baseSettings(databaseUrl: string, redisUrl: string): Env {
  return {
    DATABASE_URL: databaseUrl,
    REDIS_URL: redisUrl,
    API_KEYS: `test_${randomBytes(24).toString("hex")}`,
    ENCRYPTION_KEY: randomBytes(32).toString("base64"),
    CONSOLE_PASSWORD: randomBytes(12).toString("hex"),
    HOST: "127.0.0.1",
    ALLOWED_NETWORKS: "127.0.0.0/8,::1/128",
    ...shortTimes,
  };
}

/** The real processes on a database and a Redis of their own. */
export async function startStack({ workers = 1, console = false, env = {} }: StackOptions = {}): Promise<Stack> {
  const [database, redis] = await Promise.all([createTestDatabase(), claimTestRedis()]);
  const shared = { ...baseSettings(database.url, redis.url), ...env };
  const [port, consolePort] = [await freePort(), await freePort()];
  const baseUrl = `http://127.0.0.1:${port}`;
  const consoleUrl = `http://127.0.0.1:${consolePort}`;
  const processes: AppProcess[] = [];

  async function start(name: string, app: App, own: Env, isReady: (started: AppProcess) => Promise<boolean>) {
    const started = new AppProcess(name, app, { ...shared, ADMIN_PORT: String(await freePort()), ...own });
    processes.push(started);
    await waitFor(`${name} is ready`, async () => !started.isRunning || (await isReady(started)), {
      within: 30_000,
    }).catch((error: Error) => {
      throw new Error(`${error.message}\n${started.output(40)}`);
    });
    if (!started.isRunning) throw new Error(`${name} ended while it started:\n${started.output(40)}`);
    return started;
  }

  const startIngest = (own: Env = {}) =>
    start("ingest", "ingest", { PORT: String(port), ...own }, () => answers(`${baseUrl}/readyz`));

  const stack: Stack = {
    api: new Client(baseUrl, (shared["API_KEYS"] ?? "").split(",")[0] ?? ""),
    ingest: undefined as unknown as AppProcess,
    workers: [],
    console: undefined,
    consoleUrl,
    databaseUrl: database.url,
    redisUrl: redis.url,
    async startWorker(own = {}) {
      const worker = await start(`worker ${stack.workers.length + 1}`, "worker", own, isWorkerReady);
      stack.workers.push(worker);
      return worker;
    },
    async restartIngest(signal = "SIGTERM", own = {}) {
      if (stack.ingest.isRunning) await stack.ingest.kill(signal);
      stack.ingest = await startIngest(own);
      return stack.ingest;
    },
    output: () => processes.map((one) => `── ${one.name} (pid ${one.pid}) ──\n${one.output(60)}`).join("\n"),
    async stop() {
      const troubles = await endAll(processes);
      const undone = await Promise.allSettled([database.drop(), redis.release()]);
      for (const one of undone) if (one.status === "rejected") troubles.push(String(one.reason));
      if (troubles.length > 0) throw new Error(`${troubles.join("\n")}\n${stack.output()}`);
    },
  };

  try {
    stack.ingest = await startIngest();
    for (let n = 0; n < workers; n += 1) await stack.startWorker();
    if (console) {
      const own = { CONSOLE_PORT: String(consolePort) };
      stack.console = await start("console", "console", own, () => answers(`${consoleUrl}/queues`, 499));
    }
  } catch (error) {
    await stack.stop().catch(() => undefined);
    throw error;
  }
  return stack;
}

/** SIGTERM to all that run, and what was wrong with how they ended. */
async function endAll(processes: AppProcess[]): Promise<string[]> {
  const troubles = processes
    .filter((one) => !one.isRunning && !one.wasKilled)
    .map((one) => `${one.name} ended though nobody asked it to`);
  await Promise.all(
    processes
      .filter((one) => one.isRunning)
      .map(async (one) => {
        try {
          const { code, signal } = await one.kill("SIGTERM");
          if (code !== 0) troubles.push(`${one.name} ended with ${code ?? signal} after SIGTERM`);
        } catch (error) {
          troubles.push((error as Error).message);
          await one.kill("SIGKILL");
        }
      }),
  );
  return troubles;
}

async function answers(url: string, atMost = 200): Promise<boolean> {
  const response = await fetch(url, { redirect: "manual", signal: AbortSignal.timeout(2_000) });
  await response.text();
  return response.status <= atMost;
}

async function isWorkerReady({ adminUrl }: AppProcess): Promise<boolean> {
  return answers(`${adminUrl}/metrics`);
}

/** A free port whose next two are free as well, since a worker and the console count theirs from ADMIN_PORT. */
export async function freePort(): Promise<number> {
  for (;;) {
    // Below the range that the kernel takes for outgoing connections, so that nothing else takes it before its process
    // does; files that run at the same time draw from different blocks.
    const block = 2 * randomInt(2_500, 4_000) + (Number(process.env["VITEST_POOL_ID"] ?? 0) % 2);
    if (handedOut.has(block)) continue;
    handedOut.add(block);
    const ports = [0, 1, 2].map((n) => block * 4 + n);
    const areFree = await Promise.all(ports.map(isFree));
    if (areFree.every(Boolean)) return block * 4;
  }
}

const handedOut = new Set<number>();

function isFree(port: number): Promise<boolean> {
  const probe = createServer();
  return new Promise((decided) => {
    probe.once("error", () => decided(false));
    probe.listen(port, "127.0.0.1", () => probe.close(() => decided(true)));
  });
}

/** A tenant that no other test uses. */
export function newTenant(): string {
  return `t-${randomUUID()}`;
}

export interface Used {
  stack: Stack;
  api: Client;
  receiver: Receiver;
}

/** One stack and one receiver for all tests of a file; when a test fails, what the processes said is shown. */
export function useStack(options: StackOptions = {}): Used {
  const used = {} as Used;
  beforeAll(async () => {
    used.receiver = await startReceiver();
    used.stack = await startStack(options);
    used.api = used.stack.api;
  });
  beforeEach(({ onTestFailed }) => {
    onTestFailed(() => console.error(used.stack.output()));
  });
  afterAll(async () => {
    await used.stack?.stop();
    await used.receiver?.close();
  });
  return used;
}
