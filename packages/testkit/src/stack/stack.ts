import { PollingClient } from "../client/polling-client.ts";
import type { Env, Exit } from "../processes/managed-process.ts";
import { freePort } from "../processes/ports.ts";
import { type App, type AppOptions, AppProcess } from "./app-process.ts";

export interface StackOptions {
  /** All settings of the processes, but for their ports. */
  env: Env;
  /** How its processes run. */
  processes?: Omit<AppOptions, "script">;
}

const SHOWN_LINES = 60;

/** The real processes of one Postrider on free ports; the caller decides which of them run. */
export class Stack {
  readonly api: PollingClient;
  readonly consoleUrl: string;
  /** In the order of their start, including ended ones. */
  readonly workers: AppProcess[] = [];
  console: AppProcess | undefined;
  #ingest: AppProcess | undefined;
  readonly #env: Env;
  readonly #options: Omit<AppOptions, "script">;
  readonly #ports: { api: string; console: string };
  readonly #processes: AppProcess[] = [];
  #workersNamed = 0;

  private constructor({ env, processes = {} }: StackOptions, ports: { api: number; console: number }) {
    this.#env = env;
    this.#options = processes;
    this.#ports = { api: String(ports.api), console: String(ports.console) };
    this.api = new PollingClient(`http://127.0.0.1:${ports.api}`, (env["API_KEYS"] ?? "").split(",")[0] ?? "");
    this.consoleUrl = `http://127.0.0.1:${ports.console}`;
  }

  /** A stack of which no process runs yet. */
  static async prepare(options: StackOptions): Promise<Stack> {
    return new Stack(options, { api: await freePort(), console: await freePort() });
  }

  /** The ingest that runs now, or ran last. */
  get ingest(): AppProcess {
    if (this.#ingest === undefined) throw new Error("no ingest was started");
    return this.#ingest;
  }

  get databaseUrl(): string {
    return this.#env["DATABASE_URL"] ?? "";
  }

  get redisUrl(): string {
    return this.#env["REDIS_URL"] ?? "";
  }

  get runningWorkers(): AppProcess[] {
    return this.workers.filter((worker) => worker.isRunning);
  }

  async startIngest(env: Env = {}): Promise<AppProcess> {
    const readyUrl = `${this.api.baseUrl}/readyz`;
    this.#ingest = await this.#spawn("ingest", "ingest", { PORT: this.#ports.api, ...env }, { readyUrl });
    return this.#ingest.untilReady();
  }

  /** Ends the running ingest by this signal, if it runs, and starts another on the same port. */
  async restartIngest(signal: NodeJS.Signals = "SIGTERM", env: Env = {}): Promise<AppProcess> {
    if (this.ingest.isRunning) await this.ingest.kill(signal);
    return this.startIngest(env);
  }

  async startWorker(env: Env = {}, script?: string | URL): Promise<AppProcess> {
    return (await this.spawnWorker(env, script)).untilReady();
  }

  /** Does not wait until the worker is ready. @param script another entry point than the worker's own */
  async spawnWorker(env: Env = {}, script?: string | URL): Promise<AppProcess> {
    this.#workersNamed += 1;
    const options = script === undefined ? {} : { script };
    const worker = await this.#spawn("worker", `worker-${this.#workersNamed}`, env, options);
    this.workers.push(worker);
    return worker;
  }

  async startWorkers(count: number, env: Env = {}, script?: string | URL): Promise<AppProcess[]> {
    const spawned: AppProcess[] = [];
    for (let n = 0; n < count; n += 1) spawned.push(await this.spawnWorker(env, script));
    return Promise.all(spawned.map((worker) => worker.untilReady()));
  }

  async startConsole(env: Env = {}): Promise<AppProcess> {
    this.console = await this.#spawn("console", "console", { CONSOLE_PORT: this.#ports.console, ...env });
    return this.console.untilReady();
  }

  /** The last lines of each process. */
  output(): string {
    return this.#processes.map((one) => `── ${one.name} (pid ${one.pid}) ──\n${one.output(SHOWN_LINES)}`).join("\n");
  }

  /** Stops every process. @returns what was wrong with how any of them ended */
  async stop(within?: number): Promise<string[]> {
    const crashed = this.#processes.filter((one) => one.hasCrashed).map((one) => `${one.name} ended by itself`);
    const stopped = this.#processes
      .filter((one) => one.isRunning || one.isRestarting)
      .map(async (one) => ({ name: one.name, ...(await one.stop(within)) }));
    const failed = (await Promise.all(stopped)).filter(({ code }) => code !== 0).map(describeExit);
    return [...crashed, ...failed];
  }

  /** Kills every process and waits for none. */
  abandon(): void {
    for (const one of this.#processes) one.abandon();
  }

  async #spawn(
    app: App,
    name: string,
    env: Env,
    options: AppOptions & { readyUrl?: string } = {},
  ): Promise<AppProcess> {
    const started = await AppProcess.start(app, { ...this.#env, ...env }, { ...this.#options, ...options, name });
    this.#processes.push(started);
    return started;
  }
}

const describeExit = ({ name, code, signal }: Exit & { name: string }): string =>
  `${name} ended with ${signal ?? `code ${code}`} after SIGTERM`;
