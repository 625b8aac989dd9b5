import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parseSecret, sign } from "@postrider/shared/core/signing.ts";
import { isSkipped } from "@postrider/testkit/must-run.ts";

const ROOT = resolve(import.meta.dirname, "../..");
const DOC = readFileSync(join(ROOT, "docs/verifying-webhooks.md"), "utf8");

const keyOf = (secret: string): Buffer => {
  const key = parseSecret(secret);
  if ("problem" in key) throw new Error(key.problem);
  return key;
};
const newSecret = (fill: string) => `whsec_${Buffer.alloc(32, fill).toString("base64")}`;
const SECRET = newSecret("a");
const OTHER = newSecret("b");
const ID = "evt_01m82k09neek2bft6tjwd2v5p6";
/** Not ASCII, and a number that a double cannot hold: a snippet that parses before it verifies refuses it. */
const BODY =
  '{"type":"order.created","timestamp":"2026-11-22T21:36:11.438Z","data":{"id":12345678901234567890,"name":"Zoë"}}';

interface Message {
  secret: string;
  headers: Record<string, string>;
  body: string;
}

function message(secrets: readonly string[], ageSeconds = 0): Message {
  const timestamp = Math.floor(Date.now() / 1000) - ageSeconds;
  const headers = {
    "webhook-id": ID,
    "webhook-timestamp": String(timestamp),
    "webhook-signature": sign(secrets.map(keyOf), ID, timestamp, BODY),
  };
  return { secret: SECRET, headers, body: BODY };
}

/** What a receiver may get, and whether it must take it. */
function cases(): { name: string; isGenuine: boolean; message: Message }[] {
  const genuine = message([SECRET]);
  const without = (name: string) => {
    const { [name]: _, ...headers } = genuine.headers;
    return { ...genuine, headers };
  };
  const altered = (headers: Record<string, string>) => ({ ...genuine, headers: { ...genuine.headers, ...headers } });
  return [
    { name: "genuine", isGenuine: true, message: genuine },
    { name: "signed with a new and an old secret", isGenuine: true, message: message([OTHER, SECRET]) },
    { name: "four minutes old", isGenuine: true, message: message([SECRET], 240) },
    { name: "six minutes old", isGenuine: false, message: message([SECRET], 360) },
    { name: "six minutes from now", isGenuine: false, message: message([SECRET], -360) },
    { name: "signed with another secret", isGenuine: false, message: message([OTHER]) },
    { name: "with another body", isGenuine: false, message: { ...genuine, body: BODY.replace("created", "deleted") } },
    { name: "with another id", isGenuine: false, message: altered({ "webhook-id": "evt_01m82k09neek2bft6tjwd2v5p7" }) },
    { name: "with a timestamp that is no number", isGenuine: false, message: altered({ "webhook-timestamp": "now" }) },
    { name: "with a signature that is none", isGenuine: false, message: altered({ "webhook-signature": "v1,é v2 " }) },
    ...Object.keys(genuine.headers).map((name) => ({
      name: `without ${name}`,
      isGenuine: false,
      message: without(name),
    })),
  ];
}

/** The code blocks under a heading of the doc. */
function snippets(heading: string, language: string): string[] {
  const section = DOC.split(/^### /m).find((text) => text.startsWith(`${heading}\n`)) ?? "";
  const found = [...section.matchAll(/^```(\w+)\n(.*?)^```$/gms)].filter(([, itsLanguage]) => itsLanguage === language);
  return found.map(([, , code]) => code!);
}

/** Reads messages as JSON from its input and answers, for each, whether the snippet took it. */
const NODE_HARNESS = `
import { verify } from "./snippet.mjs";
import { readFileSync } from "node:fs";
const messages = JSON.parse(readFileSync(0, "utf8"));
const isTaken = ({ secret, headers, body }) => {
  try { return verify(secret, headers, Buffer.from(body)) !== false; } catch { return false; }
};
process.stdout.write(JSON.stringify(messages.map(isTaken)));
`;
const PYTHON_HARNESS = `
import json, sys
from snippet import verify
messages = json.load(sys.stdin)
print(json.dumps([verify(one["secret"], one["headers"], one["body"].encode()) for one in messages]))
`;

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "postrider-docs-"));
  symlinkSync(join(ROOT, "node_modules"), join(folder, "node_modules"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function verdicts(command: string, harness: string, messages: readonly Message[]): boolean[] {
  const { status, stdout, stderr } = spawnSync(command, [harness], {
    cwd: folder,
    input: JSON.stringify(messages),
    encoding: "utf8",
    env: { ...process.env, PYTHONDONTWRITEBYTECODE: "1", PYTHONIOENCODING: "utf-8" },
  });
  if (status !== 0) throw new Error(`${command} ${harness} ended with ${status}: ${stderr}`);
  return JSON.parse(stdout) as boolean[];
}

function expectRightVerdicts(command: string, harness: string): void {
  const all = cases();
  const taken = verdicts(command, harness, all.map(({ message }) => message)); // prettier-ignore
  const named = all.map(({ name }, index) => [name, taken[index]]);
  expect(named).toEqual(all.map(({ name, isGenuine }) => [name, isGenuine]));
}

test("the signature of the example in docs/verifying-webhooks.md is genuine", () => {
  const header = (name: string) => new RegExp(`^${name}: (.*)$`, "m").exec(DOC)![1]!;
  const secret = /`(whsec_\w+)`/.exec(DOC)![1]!;
  const body = /^\{"type":.*\}$/m.exec(DOC)![0];
  expect(sign([keyOf(secret)], header("webhook-id"), Number(header("webhook-timestamp")), body)).toBe(
    header("webhook-signature"),
  );
});

describe("the snippets of docs/verifying-webhooks.md take what Postrider signed, and nothing else", () => {
  test.each(["with the library", "without a library"])("Node.js %s", (which) => {
    const code = snippets("Node.js", "js");
    expect(code).toHaveLength(2);
    writeFileSync(join(folder, "snippet.mjs"), code[which === "with the library" ? 0 : 1]!);
    writeFileSync(join(folder, "harness.mjs"), NODE_HARNESS);
    expectRightVerdicts(process.execPath, "harness.mjs");
  });

  const noPython = spawnSync("python3", ["--version"]).status === 0 ? "" : "there is no python3";
  test.skipIf(isSkipped(noPython))(`Python without a library ${noPython}`, () => {
    const code = snippets("Python", "python");
    expect(code).toHaveLength(2);
    writeFileSync(join(folder, "snippet.py"), code[1]!);
    writeFileSync(join(folder, "harness.py"), PYTHON_HARNESS);
    expectRightVerdicts("python3", "harness.py");
  });
});
