import { spawn } from "node:child_process";
import { once } from "node:events";
import { resolve } from "node:path";
import { expect } from "vitest";
import { testWithOwnServers as test } from "@postrider/testkit/vitest.ts";
import { Output } from "@postrider/testkit/processes/output.ts";
import { waitFor } from "@postrider/testkit/wait.ts";
import { isAlive, run } from "../../scripts/services/processes.ts";

const ROOT = resolve(import.meta.dirname, "../..");
const VITEST = resolve(ROOT, "node_modules/vitest/vitest.mjs");
const CONFIG = resolve(ROOT, "tests/fixtures/hanging-stack/vitest.config.ts");

/** The processes below this one, by pid, with their commands. */
async function descendantsOf(ancestor: number): Promise<Map<number, string>> {
  const { stdout } = await run("ps", ["-A", "-o", "pid=,ppid=,command="]);
  const processes = stdout.split("\n").map((line) => {
    const [, pid, parent, command] = /^\s*(\d+)\s+(\d+)\s+(.*)$/.exec(line) ?? [];
    return { pid: Number(pid), parent: Number(parent), command: command ?? "" };
  });
  const found = new Map<number, string>();
  const add = (parent: number): void => {
    for (const child of processes.filter((one) => one.parent === parent)) {
      found.set(child.pid, child.command);
      add(child.pid);
    }
  };
  add(ancestor);
  return found;
}

/** Without what Vitest sets for its own workers. */
const environment = () =>
  Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("VITEST")));

test("a test run whose test times out leaves no process behind", async () => {
  const vitest = spawn(process.execPath, [VITEST, "run", "--config", CONFIG], {
    cwd: ROOT,
    env: environment(),
    stdio: ["ignore", "pipe", "pipe"],
  });
  const output = new Output(100);
  output.follow(vitest.stdout, vitest.stderr);
  const ended = once(vitest, "close");
  try {
    const started = await waitFor("all processes run", async () => {
      const found = await descendantsOf(vitest.pid!);
      const commands = [...found.values()].join("\n");
      const all = ["apps/ingest", "apps/worker", "apps/console", "postgres", "redis-server"];
      return all.every((one) => commands.includes(one)) && found;
    });
    const [code] = (await ended) as [number];
    expect(code, output.last(100)).toBe(1);
    expect(output.last(100)).toContain("Test timed out in 2000ms");
    await waitFor("its processes end", () => {
      const left = [...started].filter(([pid]) => isAlive(pid)).map(([, command]) => command);
      if (left.length > 0) throw new Error(`still alive: ${left.join(", ")}`);
      return true;
    });
  } finally {
    vitest.kill("SIGKILL");
  }
});
