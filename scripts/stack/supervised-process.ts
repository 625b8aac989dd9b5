import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { setTimeout as pause } from "node:timers/promises";

/** A process that ended sooner than this after its start ended at once. */
const AT_ONCE_MS = 5_000;
const TRIES = 3;
const FIRST_DELAY_MS = 500;
const LONGEST_DELAY_MS = 30_000;

export interface ProcessSpec {
  name: string;
  /** Absolute path of the file that Node runs. */
  script: string;
  cwd: string;
  env: Record<string, string | undefined>;
  onLine: (line: string) => void;
}

/**
 * A child that is started again whenever it ends by itself, each time after a longer wait. Its IPC channel closes when
 * this process is gone, however it went: that is how it learns that nobody looks after it any more.
 */
export class SupervisedProcess {
  readonly name: string;
  /** Settles when it has ended at once too often, with the reason, or by `stop`, with nothing. */
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
    let [atOnce, delayMs] = [0, FIRST_DELAY_MS];
    while (!this.stopping.signal.aborted) {
      const startedAt = Date.now();
      const how = await this.runOnce();
      if (this.stopping.signal.aborted) break;
      const lastedLong = Date.now() - startedAt > AT_ONCE_MS;
      atOnce = lastedLong ? 0 : atOnce + 1;
      if (lastedLong) delayMs = FIRST_DELAY_MS;
      if (atOnce === TRIES) return `${this.name} ended at once ${TRIES} times, the last time with ${how}`;
      onLine(`ended with ${how}; starting again in ${delayMs / 1_000} s`);
      await pause(delayMs, undefined, { signal: this.stopping.signal }).catch(() => undefined);
      delayMs = Math.min(delayMs * 2, LONGEST_DELAY_MS);
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
