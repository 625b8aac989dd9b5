import { globSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { expect, test } from "vitest";

// The rules of docs/architecture.md that the linter cannot check; .oxlintrc.json has the others.
const ROOT = resolve(import.meta.dirname, "../..");

interface SourceFile {
  path: string;
  /** Without comments. */
  code: string;
}

/** The files of a glob; without tests, unless they are asked for. */
function sources(glob: string, { withTests = false } = {}): SourceFile[] {
  const excluded = withTests ? /node_modules/ : /node_modules|\.test\.ts$/;
  const paths = globSync(glob, { cwd: ROOT, exclude: (path) => excluded.test(path) });
  return paths.sort().map((path) => ({ path, code: withoutComments(readFileSync(resolve(ROOT, path), "utf8")) }));
}

const withoutComments = (code: string): string => code.replaceAll(/\/\*[^]*?\*\/|^\s*\/\/.*$/gm, "");

/** Where a pattern occurs, as `path: match`. */
const occurrences = (files: readonly SourceFile[], pattern: RegExp): string[] =>
  files.flatMap(({ path, code }) => [...code.matchAll(pattern)].map(([match]) => `${path}: ${match}`));

const ADD_JOB = /\.addBulk\(|\b(queue|queues\.\w+|queues\[\w+\])\.add\(/g;

test("jobs are added in queue/enqueue.ts and nowhere else", () => {
  expect(occurrences(sources("{apps,packages/shared}/**/*.ts"), ADD_JOB)).toEqual([
    "packages/shared/src/queue/enqueue.ts: queue.add(",
    "packages/shared/src/queue/enqueue.ts: .addBulk(",
  ]);
});

test("core creates no date from the clock", () => {
  expect(occurrences(sources("packages/shared/src/core/**/*.ts"), /new Date\(\)|\bDate\(\)/g)).toEqual([]);
});

test("time comes from runtime/clock.ts, because the machine's clock may be wrong", () => {
  expect(occurrences(sources("{apps,packages/shared}/**/*.ts"), /\bDate\.now\b|new Date\(\)/g)).toEqual([
    "packages/shared/src/runtime/clock.ts: Date.now",
    "packages/shared/src/runtime/process/run.ts: Date.now",
  ]);
});

test("deliveries are updated by the statements of store/sql and nowhere else", () => {
  const updates = occurrences(sources("{apps,packages/shared}/**/*.ts"), /\bupdate deliveries\b/g);
  expect(updates.length).toBeGreaterThan(5);
  expect(updates.filter((update) => !update.startsWith("packages/shared/src/store/sql/"))).toEqual([]);
});

test("nothing has a fixed name in the temporary folder, where another user's may be in the way", () => {
  const everything = sources("{*,{apps,packages,scripts,bench,chaos,fuzz,tests}/**/*}.{ts,js,mjs}", {
    withTests: true,
  });
  const folders = new Set(everything.map(({ path }) => path.split("/")[0]));
  expect([...folders]).toEqual(expect.arrayContaining(["bench", "chaos", "fuzz", "packages", "scripts", "tests"]));
  const fixed = /(?<!mkdtempSync\()\b(join|resolve)\(tmpdir\(\)|\$\{tmpdir\(\)\}|["'`]\/tmp\//g;
  expect(occurrences(everything, fixed)).toEqual([]);
});
