import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { expect, test } from "vitest";
import { patience } from "@postrider/testkit/wait.ts";
import { run } from "./services/processes.ts";

const ROOT = resolve(import.meta.dirname, "..");
const { scripts } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as { scripts: Record<string, string> };

/** Of npm's scripts, those of this repository. */
const ours = [...new Set(Object.values(scripts).flatMap((command) => /run\.mjs (\S+\.ts)/.exec(command)?.[1] ?? []))];

/** With an address where nothing listens, so that a script which goes on fails, and finds nothing to change. */
const nowhere = { DATABASE_URL: "postgres://127.0.0.1:9/none", REDIS_URL: "redis://127.0.0.1:9" };

const runScript = (script: string, ...args: string[]) =>
  run(process.execPath, [join(ROOT, "scripts/run.mjs"), script, ...args], {
    env: { ...process.env, ...nowhere },
    timeoutMs: patience(100_000),
  });

async function expectRefusal(problem: RegExp, script: string, ...args: string[]): Promise<void> {
  const { code, stdout, stderr } = await runScript(script, ...args);
  expect({ code, stdout }, stderr).toEqual({ code: 2, stdout: "" });
  const [first, second, usage] = stderr.split("\n");
  expect(first).toMatch(problem);
  expect([second, usage]).toEqual(["", expect.stringMatching(/^Usage: npm run |^Usage: npm start/)]);
}

test.concurrent.each(ours)("%s refuses an unknown option with one line and the help", async (script) => {
  await expectRefusal(/^Unknown option '--nonsense'$/, script, "--nonsense");
});

test("--help prints the help and does nothing else", async () => {
  const { code, stdout } = await runScript("scripts/reset.ts", "--yes", "--help");
  expect(code).toBe(0);
  expect(stdout).toMatch(/^Usage: npm run reset/);
});

test.concurrent.each([
  ["scripts/start.ts", /'now'/, ["now"]],
  ["scripts/demo.ts", /--events must be a whole number from 1 to 100000 \(got '0'\)/, ["--events", "0"]],
  ["scripts/demo.ts", /--events must be .* \(got '1e3'\)/, ["--events", "1e3"]],
  ["scripts/demo.ts", /--events/, ["--events"]],
  ["scripts/demo.ts", /--url must be a URL/, ["--url", "localhost:3000"]],
  ["scripts/reset.ts", /'--yes'/, ["--yes=no"]],
  ["scripts/reset.ts", /'yes'/, ["yes"]],
  ["scripts/services.ts", /A command is missing/, []],
  ["scripts/services.ts", /There is no command 'constructor'/, ["constructor"]],
  ["scripts/services.ts", /There is no command 'up down'/, ["up", "down"]],
  ["bench/main.ts", /there is no suite nonsense/, ["nonsense"]],
  ["bench/main.ts", /--rounds must be/, ["--rounds", "0"]],
  ["chaos/main.ts", /--workers must be/, ["--workers=-1"]],
  ["chaos/main.ts", /^Option '--workers' argument is ambiguous$/, ["--workers", "-1"]],
  ["chaos/main.ts", /no such fault: toString/, ["--faults", "toString"]],
] as const)("%s refuses wrong arguments: %s", async (script, problem, args) => {
  await expectRefusal(problem, script, ...args);
});

test("the list of scripts is complete", () => {
  expect(ours.length).toBeGreaterThan(8);
  for (const script of ours) expect(existsSync(join(ROOT, script)), script).toBe(true);
});
