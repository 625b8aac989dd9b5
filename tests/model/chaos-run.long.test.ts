import { execFile } from "node:child_process";
import { join } from "node:path";
import { expect, test } from "vitest";
import { repeatInLongRun } from "@postrider/testkit/long-run.ts";
import { FAULT_NAMES } from "../../chaos/plan.ts";

const root = join(import.meta.dirname, "../..");

/** Runs that contain every fault between them. */
const RUNS = 3;

/** About a minute. */
const HANGS_AFTER_MS = 240_000;

/** Every third fault, so that a single run already hits workers, ingest, Redis, Postgres and subscribers. */
const faultsOf = (seed: number): string => FAULT_NAMES.filter((_, index) => index % RUNS === (seed - 1) % RUNS).join();

/** Runs `npm run chaos`. */
function chaos(...args: string[]): Promise<{ code: number; output: string }> {
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [join(root, "chaos/main.ts"), ...args],
      { cwd: root, timeout: HANGS_AFTER_MS, maxBuffer: 2 ** 24 },
      (error, stdout, stderr) =>
        resolve({ code: error === null ? 0 : Number(error.code ?? -1), output: stdout + stderr }),
    );
  });
}

test("nothing accepted is lost, whatever happens to workers, ingest, Redis, Postgres and subscribers", async () => {
  await repeatInLongRun(0.4, async (seed) => {
    const { code, output } = await chaos("--seed", String(seed), "--events", "1500", "--faults", faultsOf(seed));
    expect(output).toMatch(/^LOST +0$/m);
    expect(output).toContain("GREEN");
    expect(code, output).toBe(0);
  });
});
