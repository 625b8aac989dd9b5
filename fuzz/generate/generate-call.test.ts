import { globSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { expect, test } from "vitest";
import { CALLERS } from "../callers.ts";
import { generateAnswer } from "../answers/generate.ts";
import { generateCall } from "./generate-call.ts";
import { API_ROUTES } from "./routes.ts";
import type { Ids, Resources } from "./subject.ts";

const ids = (mark: string): Ids => ({
  event: [`evt_${mark}`],
  subscription: [`sub_${mark}`],
  delivery: [`dlv_${mark}`],
});
const resources: Resources = {
  own: { "fuzz-a": ids("a"), "fuzz-b": ids("b") },
  receiverUrl: "http://127.0.0.1:1",
  session: "session",
};

const CALLS = 3_000;
const calls = (seed: number) => Array.from({ length: CALLS }, (_, number) => generateCall(seed, number, resources));

test("the same seed gives the same calls and answers, and another seed gives others", () => {
  expect(calls(1)).toEqual(calls(1));
  expect(calls(1)).not.toEqual(calls(2));
  const answers = (seed: number) => Array.from({ length: 1_000 }, (_, number) => generateAnswer(seed, number));
  expect(answers(1)).toEqual(answers(1));
  expect(answers(1)).not.toEqual(answers(2));
});

test("every route is called with every kind of key, and some calls are valid", () => {
  const made = calls(3);
  const routes = new Set(made.map(({ route }) => route));
  for (const { method, path } of API_ROUTES) expect(routes).toContain(`${method} ${path}`);
  expect(new Set(made.map(({ caller }) => caller))).toEqual(new Set(CALLERS));
  const valid = made.filter(({ server, isRaw, mutations }) => server === "api" && !isRaw && mutations.length === 0);
  expect(valid.length).toBeGreaterThan(CALLS / 6);
});

test("keys of a tenant reach for the other tenant by path, body and query", () => {
  const made = calls(4).filter(({ caller }) => caller === "tenant-a");
  const bytes = made.map(({ pieces }) => Buffer.concat(pieces.map((piece) => piece.bytes)).toString("latin1"));
  expect(bytes.some((text) => /^\w+ \/v1\/\w+\/\w{3}_b/.test(text))).toBe(true);
  expect(bytes.some((text) => text.split("\r\n\r\n", 2)[1]?.includes('"tenant":"fuzz-b"'))).toBe(true);
  expect(bytes.some((text) => /^GET \/v1\/\w+\?.*(?:cursor|after)=\w{3}_b/.test(text))).toBe(true);
});

test("the table has every route of ingest", () => {
  const root = resolve(import.meta.dirname, "../../apps/ingest/src");
  const declared = globSync("**/*.ts", { cwd: root }).flatMap((file) => {
    const prefix = file.includes("health") ? "" : "/v1";
    const source = readFileSync(resolve(root, file), "utf8");
    return [...source.matchAll(/routes\.(get|post|put|patch|delete)\("([^"]+)"/g)].map(
      ([, method, path]) => `${method!.toUpperCase()} ${prefix}${path}`,
    );
  });
  expect(declared.length).toBeGreaterThan(10);
  expect(API_ROUTES.map(({ method, path }) => `${method} ${path}`)).toEqual(expect.arrayContaining(declared));
});
