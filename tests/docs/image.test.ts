import { globSync, readFileSync } from "node:fs";
import { matchesGlob, resolve } from "node:path";
import { expect, test } from "vitest";

const ROOT = resolve(import.meta.dirname, "../..");
const RULES = readFileSync(resolve(ROOT, ".dockerignore"), "utf8")
  .split("\n")
  .filter((line) => line !== "" && !line.startsWith("#"));

/** Whether a path is in Docker's build context: the last rule that matches it or one of its folders decides. */
function isInContext(path: string): boolean {
  const parts = path.split("/");
  const itAndItsFolders = parts.map((_, index) => parts.slice(0, index + 1).join("/"));
  const last = RULES.findLast((rule) => itAndItsFolders.some((one) => matchesGlob(one, rule.replace(/^!/, ""))));
  return last?.startsWith("!") ?? true;
}

const context = globSync("{*,{apps,packages,scripts,drizzle,docs,tests}/**/*}", {
  cwd: ROOT,
  exclude: (path) => path.includes("node_modules"),
}).filter(isInContext);

test("the image has what runs: the apps, what they share, the migrations and the lock file's package files", () => {
  expect(context).toEqual(
    expect.arrayContaining([
      "package-lock.json",
      "packages/testkit/package.json",
      "packages/shared/src/breaker/breaker.lua",
      "packages/shared/src/queue/retry-turn.lua",
      "apps/worker/src/main.ts",
      "drizzle/0000_initial.sql",
      "scripts/migrate.ts",
    ]),
  );
});

test("the image has no tests, no test kit and no private keys", () => {
  expect(context.filter((path) => /\.test\.ts$|^tests\/|^packages\/testkit\/src|\.pem$/.test(path))).toEqual([]);
});
