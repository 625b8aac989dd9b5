import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { relative, resolve } from "node:path";
import { expect, test } from "vitest";

const ROOT = resolve(import.meta.dirname, "../..");
const THIS_FILE = relative(ROOT, import.meta.filename);

/** Phrases that give the machinery people or hide the subject of a sentence. */
const UNCLEAR = /\b(whoever|nobody's|those that|what is held|who comes|is away|tells?|hears?|outruns?)\b/i;

/** Plain uses, as `file: line`. */
const ALLOWED: readonly string[] = [];

test("code and docs name the subject of each sentence", () => {
  const patterns = ["*.ts", "*.lua", "*.sql", "*.yml", "*.md"];
  const files = execFileSync("git", ["ls-files", "-z", ...patterns], { cwd: ROOT, encoding: "utf8" }).split("\0");
  const checked = files.filter((file) => file !== "" && file !== THIS_FILE);
  expect(checked.length).toBeGreaterThan(300);
  const found = checked.flatMap((file) =>
    readFileSync(resolve(ROOT, file), "utf8")
      .split("\n")
      .filter((line) => UNCLEAR.test(line))
      .map((line) => `${file}: ${line.trim()}`),
  );
  expect(found).toEqual(ALLOWED);
});
