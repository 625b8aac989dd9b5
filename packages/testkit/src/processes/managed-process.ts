import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { resolve } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { waitFor, withDeadline } from "../wait.ts";
import { Inbox, type Message } from "./inbox.ts";
import { Output } from "./output.ts";
import { register, unregister } from "./registry.ts";

export type Env = Readonly<Record<string, string>>;

export interface ProcessSpec {
  name: string;
  /** The file that Node runs: an absolute path, one below the checkout, or a URL. */
  script: string | URL;
  /** Passed as JSON in the first argument; parent.ts reads it. */
  task?: unknown;
  /** All of its environment, beside PATH and HOME: a DATABASE_URL of the caller's must not reach it. */
  env?: Env;
  /** Answers 200 once the process is ready. */
  readyUrl?: string;
  /** If it ends while it starts and its output matches, it is started again, as a supervisor would. */
  retryStartIf?: RegExp;
  /** Where its output is appended; undefined keeps the last lines in memory. */
  logFile?: string;
  /** Starts it again so many milliseconds after it ended; undefined for never. */
  restartAfterMs?: number;
  /** Where its CPU profile is written when it ends; undefined for no profile. */
  cpuProfileDir?: string | undefined;
}

export interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

const ROOT = resolve(import.meta.dirname, "../../../..");
const KEPT_LINES = 500;
const MAX_STARTS = 3;
const READY_WITHIN_MS = 180_000;
/** A process that is asked to end has its own shutdown deadline; beyond this one it hangs. */
const EXIT_WITHIN_MS = 60_000;

/**
 * A Node process of ours. It ends with this process: by the registry's exit handler, and where that cannot run, because
 * its IPC channel closes.
 */
export class ManagedProcess {
  readonly name: string;
  readonly #spec: ProcessSpec;
  readonly #output = new Output(KEPT_LINES);
  readonly #inbox = new Inbox();
  #child!: ChildProcess;
  #exit!: Promise<Exit>;
  #restarting: Promise<void> | undefined;
  #isStopping = false;
  #isEndExpected = false;

  constructor(spec: ProcessSpec) {
    this.name = spec.name;
    this.#spec = spec;
    this.#start();
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Whether it ended by itself. */
  get hasCrashed(): boolean {
    return !this.isRunning && !this.#isEndExpected;
  }

  /** Whether it has ended and is about to be started again. */
  get isRestarting(): boolean {
    return !this.isRunning && !this.#hasEndedForGood;
  }

  /** Settles when the current process ends. */
  get exit(): Promise<Exit> {
    return this.#exit;
  }

  /** @throws Error with its output if it ends first or is not ready by the deadline */
  async untilReady(): Promise<this> {
    const { readyUrl, retryStartIf } = this.#spec;
    if (readyUrl === undefined) throw new Error(`${this.name} has no readyUrl`);
    const isReady = async () => this.#hasEndedForGood || (await answersOk(readyUrl));
    for (let start = 1; ; start += 1) {
      await waitFor(`${this.name} is ready`, isReady, { within: READY_WITHIN_MS, every: 50 }).catch((error: Error) => {
        throw this.failure(error.message);
      });
      if (!this.#hasEndedForGood) return this;
      if (start === MAX_STARTS || !retryStartIf?.test(this.output())) throw this.failure("ended while it started");
      this.#start();
    }
  }

  /** Sends a signal without waiting for its effect. */
  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  /** Ends it by this signal; with `restartAfterMs` it starts again. @throws Error if it still runs at the deadline */
  async kill(name: NodeJS.Signals = "SIGTERM", within = EXIT_WITHIN_MS): Promise<Exit> {
    this.#isEndExpected = true;
    const exit = this.#exit;
    this.#child.kill(name);
    return withDeadline(`${this.name} exits after ${name}`, within, exit);
  }

  /** Ends it for good: SIGTERM, and SIGKILL at the deadline. */
  async stop(within = EXIT_WITHIN_MS): Promise<Exit> {
    this.#isStopping = true;
    this.#isEndExpected = true;
    await this.#restarting;
    // A frozen process would not see the SIGTERM.
    this.#child.kill("SIGCONT");
    this.#child.kill("SIGTERM");
    const overdue = setTimeout(() => this.#child.kill("SIGKILL"), within);
    const exit = await this.#exit;
    clearTimeout(overdue);
    return exit;
  }

  abandon(): void {
    this.#isStopping = true;
    this.#isEndExpected = true;
    this.#child.kill("SIGKILL");
  }

  output(lastLines = KEPT_LINES): string {
    return this.#output.last(lastLines);
  }

  /** An error that shows what the process wrote last. */
  failure(what: string): Error {
    return new Error(`${this.name}: ${what}\n${this.output(40)}`);
  }

  /** @param message with its `kind`; parent.ts hands it to the process */
  send(message: Message): void {
    if (!this.isRunning) throw this.failure(`had ended before it was sent "${message.kind}"`);
    this.#child.send(message);
  }

  /**
   * Waits for the next message of this kind, or takes one that has already arrived.
   *
   * @throws Error with its output if it ends first or sends none by the deadline
   */
  async next<T extends Message>(kind: T["kind"], within: number): Promise<T> {
    const deadline = performance.now() + within;
    for (;;) {
      const message = this.#inbox.take(kind);
      if (message) return message as T;
      const leftMs = deadline - performance.now();
      if (!this.isRunning) throw this.failure(`ended before it sent "${kind}"`);
      if (leftMs <= 0) throw this.failure(`did not send "${kind}" within ${within} ms`);
      await this.#inbox.change(leftMs);
    }
  }

  get #hasEndedForGood(): boolean {
    return !this.isRunning && (this.#spec.restartAfterMs === undefined || this.#isStopping);
  }

  #start(): void {
    const { script, task, env = {}, logFile, cpuProfileDir } = this.#spec;
    const file = script instanceof URL ? fileURLToPath(script) : resolve(ROOT, script);
    const profiling = cpuProfileDir === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${cpuProfileDir}`];
    const log = logFile === undefined ? undefined : openSync(logFile, "a");
    this.#child = spawn(process.execPath, [...profiling, file, ...(task === undefined ? [] : [JSON.stringify(task)])], {
      cwd: ROOT,
      env: { PATH: process.env["PATH"] ?? "", HOME: process.env["HOME"] ?? "", ...env },
      stdio: ["ignore", log ?? "pipe", log ?? "pipe", "ipc"],
    });
    if (log !== undefined) closeSync(log);
    this.#output.follow(this.#child.stdout, this.#child.stderr);
    this.#child.on("message", (message) => this.#inbox.add(message as Message));
    this.#exit = once(this.#child, "close").then(([code, signal]): Exit => ({ code, signal }));
    register(this);
    void this.#exit.then(() => this.#onExit());
  }

  #onExit(): void {
    this.#inbox.wake();
    const { restartAfterMs } = this.#spec;
    if (restartAfterMs === undefined || this.#isStopping) unregister(this);
    else this.#restarting = this.#restart(restartAfterMs);
  }

  async #restart(afterMs: number): Promise<void> {
    await pause(afterMs);
    if (!this.#isStopping) this.#start();
    else unregister(this);
  }
}

/** Whether a GET is answered with 200. */
export async function answersOk(url: string): Promise<boolean> {
  const response = await fetch(url, { signal: AbortSignal.timeout(5_000) }).catch(() => undefined);
  await response?.text();
  return response?.status === 200;
}

/** Runs `work` with the processes that it adopts, and stops them afterwards, the last one first. */
export async function withProcesses<T>(
  work: (adopt: (started: ManagedProcess) => ManagedProcess) => Promise<T>,
): Promise<T> {
  const adopted: ManagedProcess[] = [];
  try {
    return await work((started) => {
      adopted.push(started);
      return started;
    });
  } finally {
    for (const one of adopted.toReversed()) await one.stop();
  }
}
