import { execFile } from "node:child_process";
import { join } from "node:path";
import { expect, test } from "vitest";

const root = join(import.meta.dirname, "../..");

/** One fault of each kind that fits into a minute; `npm run chaos` has all of them. */
const FAULTS = "worker-freeze,worker-kill,redis-flush,ingest-kill,postgres-restart,receivers-fail";

/** Runs `npm run chaos`. */
function chaos(...args: string[]): Promise<{ code: number; output: string }> {
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [join(root, "chaos/main.ts"), ...args],
      { cwd: root, timeout: 170_000, maxBuffer: 2 ** 24 },
      (error, stdout, stderr) =>
        resolve({ code: error === null ? 0 : Number(error.code ?? -1), output: stdout + stderr }),
    );
  });
}

test("nothing accepted is lost though workers are frozen and killed, ingest is killed, Redis is emptied, Postgres restarts and subscribers fail", async () => {
  const { code, output } = await chaos("--seed", "1", "--events", "1500", "--rate", "80", "--faults", FAULTS);
  expect(output).toMatch(/^LOST +0$/m);
  expect(output).toContain("GREEN");
  expect(code, output).toBe(0);
});
