import { setTimeout as pause } from "node:timers/promises";
import type { Fleet } from "./fleet.ts";
import type { Finding } from "./judge/finding.ts";

const EVERY_MS = 1_000;
const ANSWER_WITHIN_MS = 15_000;

/** Asks every process again and again whether it lives, beside the calls. */
export class Liveness {
  readonly #fleet: Fleet;
  readonly #found: Finding[] = [];
  readonly #stopping = new AbortController();
  readonly #over: Promise<void>;
  /** The longest answer. */
  maxMs = 0;

  constructor(fleet: Fleet) {
    this.#fleet = fleet;
    this.#over = this.#run();
  }

  /** What was found since the last time. A process that has ended is found once. */
  take(): Finding[] {
    return this.#found.splice(0);
  }

  get hasCrash(): boolean {
    return this.#fleet.processes.some(({ hasCrashed }) => hasCrashed);
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#over;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      await Promise.all(this.#fleet.processes.map((one) => this.#probe(one)));
      await pause(EVERY_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  async #probe(one: Fleet["processes"][number]): Promise<void> {
    if (one.hasCrashed) {
      const { code, signal } = await one.exit;
      this.#report(`crash of ${one.name}`, `it ended with ${signal ?? `code ${code}`}`);
      this.#stopping.abort();
      return;
    }
    const startedAt = performance.now();
    const response = await fetch(`${one.adminUrl}/healthz`, { signal: AbortSignal.timeout(ANSWER_WITHIN_MS) }).catch(
      (error: Error) => error,
    );
    const tookMs = performance.now() - startedAt;
    this.maxMs = Math.max(this.maxMs, tookMs);
    if (response instanceof Error) {
      if (!one.hasCrashed)
        this.#report(`${one.name} does not answer`, `/healthz after ${Math.round(tookMs)} ms: ${response.message}`);
    } else await response.text();
  }

  #report(kind: string, detail: string): void {
    this.#found.push({ kind, detail, replay: "see the log of the process" });
  }
}
