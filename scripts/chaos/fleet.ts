import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { once } from "node:events";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { ROOT } from "../services/index.ts";
import { freePort } from "../services/ports.ts";
import { adminPortSetting } from "../stack/admin-ports.ts";
import { until } from "./until.ts";

/** As a supervisor does (scripts/stack/supervised-process.ts), but for ever: here ending is what processes are for. */
const RESTART_AFTER_MS = 500;

interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

/** One of our processes, started again whenever it ends. Its output goes to a file. */
class ChaosProcess {
  readonly name: string;
  readonly #spec: { script: string; env: NodeJS.ProcessEnv; logFile: string; healthUrl: string };
  #child!: ChildProcess;
  #exit!: Promise<Exit>;
  #restarting: Promise<void> | undefined;
  #stopping = false;

  constructor(name: string, spec: { script: string; env: NodeJS.ProcessEnv; logFile: string; healthUrl: string }) {
    this.name = name;
    this.#spec = spec;
    this.#start();
  }

  /** Without waiting for what it does. */
  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  /** Ends it by this signal; it is started again by itself. @returns how it ended and after how long, in milliseconds */
  async end(name: NodeJS.Signals): Promise<Exit & { tookMs: number }> {
    const [exit, startedAt] = [this.#exit, Date.now()];
    this.#child.kill(name);
    return { ...(await exit), tookMs: Date.now() - startedAt };
  }

  async untilHealthy(): Promise<void> {
    await until(`${this.name} is healthy`, 60_000, async () => {
      const response = await fetch(this.#spec.healthUrl, { signal: AbortSignal.timeout(1_000) });
      await response.text();
      return response.ok;
    });
  }

  /** For good. @returns how it ended */
  async stop(deadlineMs: number): Promise<Exit> {
    this.#stopping = true;
    await this.#restarting;
    this.#child.kill("SIGCONT");
    this.#child.kill("SIGTERM");
    const overdue = setTimeout(() => this.kill(), deadlineMs);
    const exit = await this.#exit;
    clearTimeout(overdue);
    return exit;
  }

  kill(): void {
    this.#stopping = true;
    this.#child.kill("SIGKILL");
  }

  #start(): void {
    const { script, env, logFile } = this.#spec;
    const log = openSync(logFile, "a");
    this.#child = spawn(process.execPath, [script], { cwd: ROOT, env, stdio: ["ignore", log, log, "ipc"] });
    closeSync(log);
    this.#exit = once(this.#child, "exit").then(([code, signal]): Exit => ({ code, signal }));
    void this.#exit.then(() => {
      if (!this.#stopping) this.#restarting = this.#startAgain();
    });
  }

  async #startAgain(): Promise<void> {
    await pause(RESTART_AFTER_MS);
    if (!this.#stopping) this.#start();
  }
}

export interface Fleet {
  apiUrl: string;
  ingest: ChaosProcess;
  workers: readonly ChaosProcess[];
  /** @returns which processes did not end well */
  stop(deadlineMs: number): Promise<string[]>;
  kill(): void;
}

/** Ingest and workers, ready. */
export async function startFleet(options: {
  workers: number;
  env: Record<string, string>;
  logFolder: string;
}): Promise<Fleet> {
  const { logFolder } = options;
  const port = await freePort();
  const apiUrl = `http://127.0.0.1:${port}`;
  // Nothing of whoever runs this: a DATABASE_URL of theirs must not be emptied.
  const env = { PATH: process.env["PATH"] ?? "", HOME: process.env["HOME"] ?? "", ...options.env };
  const start = (name: string, app: string, own: Record<string, string>, healthUrl: string) =>
    new ChaosProcess(name, {
      script: join(ROOT, "apps", app, "src/main.ts"),
      env: { ...env, ...own },
      logFile: join(logFolder, `${name}.log`),
      healthUrl,
    });
  const ingest = start("ingest", "ingest", { PORT: String(port), ADMIN_PORT: "0" }, `${apiUrl}/readyz`);
  const workers: ChaosProcess[] = [];
  for (let number = 1; number <= options.workers; number += 1) {
    const adminPort = await freePort();
    const own = { ADMIN_PORT: adminPortSetting("worker", adminPort) };
    workers.push(start(`worker-${number}`, "worker", own, `http://127.0.0.1:${adminPort}/readyz`));
  }
  const all = [ingest, ...workers];
  const kill = () => all.forEach((one) => one.kill());
  process.once("exit", kill);
  try {
    await Promise.all(all.map((one) => one.untilHealthy()));
  } catch (error) {
    kill();
    throw error;
  }
  return {
    apiUrl,
    ingest,
    workers,
    async stop(deadlineMs) {
      const exits = await Promise.all(all.map(async (one) => ({ name: one.name, ...(await one.stop(deadlineMs)) })));
      process.off("exit", kill);
      return exits
        .filter(({ code }) => code !== 0)
        .map(({ name, code, signal }) => `${name} ended with ${signal ?? code}`);
    },
    kill,
  };
}
