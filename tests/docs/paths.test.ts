import { existsSync, globSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { expect, test } from "vitest";

const root = resolve(import.meta.dirname, "../..");
const documents = ["README.md", "CONTRIBUTING.md", "bench/README.md", ...globSync("docs/*.md", { cwd: root })];

/** A path from the root of the checkout, in prose or in code. */
const ROOTED =
  /(?<![\w./@-])(?:apps|packages|docs|scripts|bench|chaos|tests|drizzle|observability|ops)\/[\w./-]*[\w/]/g;
/** The target of a Markdown link that is not a URL, without its anchor. */
const LINKED = /\]\((?!https?:|#)([^)#\s]+)/g;

function missingFrom(document: string): string[] {
  const text = readFileSync(join(root, document), "utf8");
  const rooted = [...text.replaceAll(LINKED, "]").matchAll(ROOTED)].map(([path]) => path);
  const linked = [...text.matchAll(LINKED)].map(([, target]) => join(dirname(document), target!));
  // Results of benchmarks are written when one runs.
  const named = [...rooted, ...linked].filter((path) => !path.startsWith("bench/results"));
  return [...new Set(named)].filter((path) => !existsSync(join(root, path)));
}

test.each(documents)("every path that %s names exists", (document) => {
  expect(missingFrom(document)).toEqual([]);
});

test("the paths of the README are found by the test that checks them", () => {
  const text = readFileSync(join(root, "README.md"), "utf8");
  expect([...text.matchAll(LINKED)].length + [...text.matchAll(ROOTED)].length).toBeGreaterThan(20);
});
