import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Env } from "../processes/managed-process.ts";
import { waitFor } from "../wait.ts";

/** The wrong clock of a machine, for one process that is started with its environment. */
export class ShiftedClock {
  readonly #folder = mkdtempSync(join(tmpdir(), "postrider-clock-"));
  readonly #file = join(this.#folder, "shift");

  constructor() {
    writeFileSync(this.#file, "0");
  }

  get env(): Env {
    const preload = new URL("shift-clock.ts", import.meta.url).href;
    return { NODE_OPTIONS: `--import ${preload}`, CLOCK_SHIFT_FILE: this.#file };
  }

  /** Sets the clock of the running process, and waits until it is set. @param ms ahead of the real time */
  async shift(ms: number): Promise<void> {
    writeFileSync(this.#file, String(ms));
    await waitFor(`the clock is ${ms} ms ahead`, () => readFileSync(`${this.#file}.taken`, "utf8") === String(ms));
  }

  close(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
