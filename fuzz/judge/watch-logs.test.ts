import { appendFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { CREDENTIALS } from "../secrets.ts";
import { LogWatch } from "./watch-logs.ts";

let folder: string;
let logs: LogWatch;
const write = (text: string) => appendFileSync(join(folder, "ingest.log"), text);
const kinds = (isLast?: boolean) => logs.look(isLast).map(({ kind }) => kind);
const SECRET = "a secret in the log of ingest.log";
const ERROR = "an error in the log of ingest.log";

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "postrider-fuzz-test-"));
  logs = new LogWatch(folder);
});
afterEach(() => rmSync(folder, { recursive: true }));

test("a short line is searched, once", () => {
  write(`${CREDENTIALS.operator}\n`);
  expect(kinds()).toEqual([SECRET]);
  expect(kinds(true)).toEqual([]);
});

test("a secret and an error that two looks cut in half are found", () => {
  write(`{"level":"info"}\n${CREDENTIALS.operator.slice(0, 4)}`);
  expect(kinds()).toEqual([]);
  write(`${CREDENTIALS.operator.slice(4)}\n{"level":"er`);
  expect(kinds()).toEqual([SECRET]);
  write(`ror"}\n`);
  expect(kinds()).toEqual([ERROR]);
});

test("the last look takes a line without an end", () => {
  write(`{"level":"info"}\n{"level":"fatal"}`);
  expect(kinds()).toEqual([]);
  expect(kinds(true)).toEqual([ERROR]);
});

test("nothing is lost in more than a chunk, or in a line that is longer than one", () => {
  const line = `${"x".repeat(999)}\n`;
  write(line.repeat(1_500) + `${CREDENTIALS.operator}\n` + line.repeat(1_500));
  expect(kinds()).toEqual([SECRET]);
  write(`${"x".repeat(1024 * 1024 - 4)}${CREDENTIALS.operator}${"x".repeat(1024 * 1024)}\n`);
  expect(kinds(true)).toContain(SECRET);
});
