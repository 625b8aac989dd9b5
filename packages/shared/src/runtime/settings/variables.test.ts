import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { readConsoleSettings } from "./console.ts";
import { readIngestSettings } from "./ingest.ts";
import { plainEnvironment, SettingsError } from "./read.ts";
import { readStackSettings, STACK_VARIABLES } from "./stack.ts";
import { readWorkerSettings } from "./worker.ts";

const SECRETS = {
  DATABASE_URL: "postgres://someone:hunter2@127.0.0.1:5432/postrider",
  REDIS_URL: "redis://:hunter3@127.0.0.1:6379",
  ENCRYPTION_KEY: randomBytes(32).toString("base64"),
  API_KEYS: randomBytes(16).toString("hex"),
  CONSOLE_PASSWORD: "correct horse battery staple",
};
type SecretName = keyof typeof SECRETS;
const secretNames = Object.keys(SECRETS) as SecretName[];

let folder: string;
let written: string[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "postrider-settings-"));
  written = [];
  vi.spyOn(process.stderr, "write").mockImplementation((text) => written.push(String(text)) > 0);
});
afterEach(() => {
  vi.restoreAllMocks();
  rmSync(folder, { recursive: true });
});

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

function problemsOf(read: () => unknown): readonly string[] {
  try {
    read();
  } catch (error) {
    if (error instanceof SettingsError) return error.problems;
    throw error;
  }
  return [];
}

test.each(["", "\n", "\r\n"])("every secret may be in a file, which may end with %j", (end) => {
  const files = Object.fromEntries(secretNames.map((name) => [`${name}_FILE`, file(name, SECRETS[name] + end)]));
  expect(readStackSettings(files)).toEqual(readStackSettings(SECRETS));
  expect(plainEnvironment(files, STACK_VARIABLES)).toEqual(SECRETS);
});

test("only one line break is removed", () => {
  const { CONSOLE_PASSWORD, ...others } = SECRETS;
  const read = (text: string) =>
    plainEnvironment({ ...others, CONSOLE_PASSWORD_FILE: file("password", text) }, STACK_VARIABLES)["CONSOLE_PASSWORD"];
  expect(read(` ${CONSOLE_PASSWORD}\n\n`)).toBe(` ${CONSOLE_PASSWORD}\n`);
});

test("a secret and its file are refused together, even where both say the same", () => {
  for (const name of secretNames) {
    const both = { ...SECRETS, [`${name}_FILE`]: file(name, SECRETS[name]) };
    expect(problemsOf(() => readStackSettings(both))).toEqual([`${name} and ${name}_FILE are set: leave only one`]);
  }
});

test("a secret's file that is missing, empty or wrong is refused once, by name and without what it holds", () => {
  const { ENCRYPTION_KEY: _unused, ...others } = SECRETS;
  const problems = (path: string) => problemsOf(() => readStackSettings({ ...others, ENCRYPTION_KEY_FILE: path }));
  expect(problems(join(folder, "none"))).toEqual([expect.stringMatching(/^ENCRYPTION_KEY_FILE: .*none.*ENOENT/)]);
  expect(problems(folder)).toEqual([expect.stringMatching(/^ENCRYPTION_KEY_FILE: .*EISDIR/)]);
  expect(problems(file("empty", "\n"))).toEqual([expect.stringMatching(/^ENCRYPTION_KEY_FILE: .* is empty$/)]);
  const wrong = problems(file("wrong", "hunter4\n"));
  expect(wrong).toEqual([expect.stringMatching(/^ENCRYPTION_KEY_FILE must be 32 bytes/)]);
  expect(wrong.join()).not.toContain("hunter4");
});

test("what is not a secret has no file", () => {
  expect(readStackSettings({ ...SECRETS, PORT_FILE: file("port", "4000") }).port).toBe(3000);
});

test("every setting is taken with the prefix too", () => {
  const prefixed = Object.fromEntries(Object.entries(SECRETS).map(([name, value]) => [`POSTRIDER_${name}`, value]));
  expect(readStackSettings({ ...prefixed, POSTRIDER_PORT: "4000", POSTRIDER_WORKERS: "3" })).toMatchObject({
    port: 4000,
    workers: 3,
    apiKeys: [SECRETS.API_KEYS],
  });
  const path = file("key", SECRETS.ENCRYPTION_KEY);
  const { ENCRYPTION_KEY: _unused, ...others } = SECRETS;
  expect(() => readStackSettings({ ...others, POSTRIDER_ENCRYPTION_KEY_FILE: path })).not.toThrow();
});

test("a setting with the prefix is used, although the plain name, or its file, is somebody else's", () => {
  // Of the image.
  const env = {
    ...SECRETS,
    HOST: "0.0.0.0",
    POSTRIDER_HOST: "127.0.0.1",
    POSTRIDER_API_KEYS: "a".repeat(8) + SECRETS.API_KEYS,
  };
  expect(readIngestSettings(env)).toMatchObject({ host: "127.0.0.1", apiKeys: [env.POSTRIDER_API_KEYS] });
  const plain = plainEnvironment({ ...env, API_KEYS_FILE: "/none" }, STACK_VARIABLES);
  expect(plain).toEqual({ ...SECRETS, HOST: "127.0.0.1", API_KEYS: env.POSTRIDER_API_KEYS });
  expect(readIngestSettings({ ...env, POSTRIDER_HOST: " " }).host).toBe("0.0.0.0");
});

test("a secret and its file, both with the prefix, are refused together", () => {
  const POSTRIDER_API_KEYS_FILE = file("keys", SECRETS.API_KEYS);
  const env = { ...SECRETS, POSTRIDER_API_KEYS: SECRETS.API_KEYS, POSTRIDER_API_KEYS_FILE };
  expect(problemsOf(() => readStackSettings(env))).toEqual([
    "POSTRIDER_API_KEYS and POSTRIDER_API_KEYS_FILE are set: leave only one",
  ]);
});

test("what Kubernetes sets for Services of these names is ignored with a warning", () => {
  const injected = {
    CONSOLE_PORT: "tcp://10.96.0.12:80",
    CONSOLE_SERVICE_HOST: "10.96.0.12",
    CONSOLE_PORT_80_TCP: "tcp://10.96.0.12:80",
    ADMIN_PORT: "udp://[fd00::12]:9100",
    POSTRIDER_PORT: "tcp://10.96.0.13:3000",
    PORT: "4000",
  };
  expect(readConsoleSettings({ ...SECRETS, ...injected })).toMatchObject({ consolePort: 3001, adminPort: 9100 });
  expect(readIngestSettings({ ...SECRETS, ...injected }).port).toBe(4000);
  for (const name of ["CONSOLE_PORT", "ADMIN_PORT", "POSTRIDER_PORT"]) {
    expect(written.join("")).toContain(`${name}=${injected[name as keyof typeof injected]} is ignored`);
  }
  expect(written.join("")).not.toContain("CONSOLE_PORT_80_TCP");
  const own = { ...SECRETS, ...injected, POSTRIDER_CONSOLE_PORT: "4001" };
  expect(readConsoleSettings(own).consolePort).toBe(4001);
});

test("no process starts where the verification of certificates is turned off", () => {
  const off = { ...SECRETS, NODE_TLS_REJECT_UNAUTHORIZED: "0" };
  for (const read of [readIngestSettings, readWorkerSettings, readConsoleSettings, readStackSettings]) {
    expect(problemsOf(() => read(off))).toEqual([
      expect.stringMatching(/^NODE_TLS_REJECT_UNAUTHORIZED=0 .*certificate/),
    ]);
    expect(() => read({ ...SECRETS, NODE_TLS_REJECT_UNAUTHORIZED: "1" })).not.toThrow();
  }
  expect(() => plainEnvironment(off, STACK_VARIABLES)).toThrow(/NODE_TLS_REJECT_UNAUTHORIZED/);
});
