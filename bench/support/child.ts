import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";

/** What a process of a benchmark says over its channel. */
export interface Message {
  kind: string;
}

export interface ChildOptions {
  /** Handed over as the first argument, in JSON. */
  task?: unknown;
  env?: Readonly<Record<string, string>>;
  /** Where its CPU profile goes when it ends; no profile where undefined. */
  profileDir?: string | undefined;
}

const STOP_DEADLINE_MS = 25_000;
const KEPT_LINES = 40;

/** A process of a benchmark. It ends with this one: its channel closes, and it takes that as a signal to stop. */
export class Child {
  readonly name: string;
  readonly #process: ChildProcess;
  readonly #messages: Message[] = [];
  readonly #lines: string[] = [];
  #wake: () => void = () => undefined;

  constructor(name: string, script: URL, { task, env = {}, profileDir }: ChildOptions = {}) {
    this.name = name;
    const args = task === undefined ? [] : [JSON.stringify(task)];
    this.#process = fork(script, args, {
      execArgv: profileDir === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${profileDir}`],
      // Only what is said here: a DATABASE_URL or NODE_OPTIONS of the caller's would change what is measured.
      env: { PATH: process.env["PATH"] ?? "", NODE_ENV: "production", ...env },
      stdio: ["ignore", "pipe", "pipe", "ipc"],
    });
    this.#process.on("message", (message) => {
      this.#messages.push(message as Message);
      this.#wake();
    });
    this.#process.once("exit", () => this.#wake());
    for (const stream of [this.#process.stdout, this.#process.stderr]) {
      stream!.setEncoding("utf8").on("data", (text: string) => {
        this.#lines.push(...text.trimEnd().split("\n"));
        this.#lines.splice(0, this.#lines.length - KEPT_LINES);
      });
    }
  }

  get pid(): number {
    return this.#process.pid!;
  }

  /** @param message with its `kind`, which the process hears (see processes/parent.ts) */
  send(message: Message): void {
    if (!this.isRunning) throw this.failure(`had ended when it was told "${message.kind}"`);
    this.#process.send(message);
  }

  /** Its end, however it comes. */
  async ended(): Promise<void> {
    if (this.isRunning) await once(this.#process, "exit");
  }

  get isRunning(): boolean {
    return this.#process.exitCode === null && this.#process.signalCode === null;
  }

  /**
   * Waits for the next message of this kind; one that came already counts.
   *
   * @throws Error with the process's last words where it ends or stays silent
   */
  async next<T extends Message>(kind: T["kind"], withinMs: number): Promise<T> {
    const deadline = performance.now() + withinMs;
    for (;;) {
      const index = this.#messages.findIndex((message) => message.kind === kind);
      if (index !== -1) return this.#messages.splice(index, 1)[0] as T;
      const leftMs = deadline - performance.now();
      if (!this.isRunning) throw this.failure(`ended before it said "${kind}"`);
      if (leftMs <= 0) throw this.failure(`did not say "${kind}" within ${withinMs} ms`);
      await this.#newsWithin(leftMs);
    }
  }

  async #newsWithin(ms: number): Promise<void> {
    const patience = new AbortController();
    const news = new Promise<void>((resolve) => (this.#wake = resolve));
    await Promise.race([news, sleep(ms, undefined, { signal: patience.signal }).catch(() => undefined)]);
    patience.abort();
  }

  failure(what: string): Error {
    return new Error(`${this.name} ${what}\n${this.#lines.join("\n")}`);
  }

  async stop(): Promise<void> {
    if (!this.isRunning) return;
    const ended = once(this.#process, "exit");
    this.#process.kill("SIGTERM");
    const overdue = setTimeout(() => this.#process.kill("SIGKILL"), STOP_DEADLINE_MS);
    await ended;
    clearTimeout(overdue);
  }

  /** Ends it at once, for a process that would first wait for answers that nobody needs any more. */
  async kill(): Promise<void> {
    if (!this.isRunning) return;
    const ended = once(this.#process, "exit");
    this.#process.kill("SIGKILL");
    await ended;
  }
}

/** Runs `work` with these processes and stops them afterwards, the last one first, whatever came of it. */
export async function withChildren<T>(work: (adopt: (child: Child) => Child) => Promise<T>): Promise<T> {
  const children: Child[] = [];
  try {
    return await work((child) => {
      children.push(child);
      return child;
    });
  } finally {
    for (const child of children.toReversed()) await child.stop();
  }
}
