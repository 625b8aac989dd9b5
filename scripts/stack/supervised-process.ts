import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { setTimeout as pause } from "node:timers/promises";

/** A process that exits within this time after its start counts as failing at start. */
const EARLY_EXIT_MS = 5_000;
const MAX_EARLY_EXITS = 3;
const INITIAL_DELAY_MS = 500;
const MAX_DELAY_MS = 30_000;

export interface ProcessSpec {
  name: string;
  /** Absolute path of the file that Node runs. */
  script: string;
  cwd: string;
  env: Record<string, string | undefined>;
  onLine: (line: string) => void;
}

/**
 * A child process that is restarted with back-off when it exits by itself. It has an IPC channel, which closes when
 * this process ends, so that it can stop too.
 */
export class SupervisedProcess {
  readonly name: string;
  /** Resolves with a reason after too many early exits, or with undefined after `stop`. */
  readonly ended: Promise<string | undefined>;
  private readonly spec: ProcessSpec;
  private child: ChildProcess | undefined;
  private readonly stopping = new AbortController();

  constructor(spec: ProcessSpec) {
    this.name = spec.name;
    this.spec = spec;
    this.ended = this.run();
  }

  /** SIGTERM now, SIGKILL after the deadline. */
  async stop(deadlineMs: number): Promise<void> {
    this.stopping.abort();
    this.child?.kill("SIGTERM");
    const overdue = setTimeout(() => this.kill(), deadlineMs);
    await this.ended;
    clearTimeout(overdue);
  }

  kill(): void {
    this.stopping.abort();
    this.child?.kill("SIGKILL");
  }

  private async run(): Promise<string | undefined> {
    const { onLine } = this.spec;
    let [earlyExits, delayMs] = [0, INITIAL_DELAY_MS];
    while (!this.stopping.signal.aborted) {
      const startedAt = Date.now();
      const how = await this.runOnce();
      if (this.stopping.signal.aborted) break;
      const ranLong = Date.now() - startedAt > EARLY_EXIT_MS;
      earlyExits = ranLong ? 0 : earlyExits + 1;
      if (ranLong) delayMs = INITIAL_DELAY_MS;
      if (earlyExits === MAX_EARLY_EXITS)
        return `${this.name} exited right after its start ${MAX_EARLY_EXITS} times, the last time with ${how}`;
      onLine(`exited with ${how}; restarting in ${delayMs / 1_000} s`);
      await pause(delayMs, undefined, { signal: this.stopping.signal }).catch(() => undefined);
      delayMs = Math.min(delayMs * 2, MAX_DELAY_MS);
    }
    return undefined;
  }

  private async runOnce(): Promise<string> {
    const { script, cwd, env, onLine } = this.spec;
    const child = spawn(process.execPath, [script], { cwd, env, stdio: ["ignore", "pipe", "pipe", "ipc"] });
    this.child = child;
    for (const stream of [child.stdout!, child.stderr!]) createInterface(stream).on("line", onLine);
    try {
      const [code, signal] = (await once(child, "close")) as [number | null, NodeJS.Signals | null];
      return signal ?? `code ${code}`;
    } catch (error) {
      return (error as Error).message;
    }
  }
}
