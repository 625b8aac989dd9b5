import { randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import { weakApiKeyProblems, weakKeyProblem, weakPasswordProblem } from "./weak-secrets.ts";

const TIMES = 1_000;

test("an encryption key that is not random is refused", () => {
  const weak = [
    Buffer.alloc(32),
    Buffer.alloc(32, 255),
    Buffer.from(Array.from({ length: 32 }, (_, index) => index)),
    Buffer.from(Array.from({ length: 32 }, (_, index) => 255 - index * 3)),
    Buffer.concat([randomBytes(16), Buffer.alloc(16)]),
    Buffer.alloc(32, randomBytes(8)),
    Buffer.from("this is a secret key of 32 bytes"),
    Buffer.from("0123456789abcdef0123456789abcdef"),
  ];
  for (const key of weak) expect([key.toString("hex"), weakKeyProblem(key)]).toEqual([expect.anything(), expect.stringMatching(/^is not random/)]); // prettier-ignore
  for (let n = 0; n < TIMES; n += 1) expect(weakKeyProblem(randomBytes(32))).toBeUndefined();
});

test("an API key that is short, repeated or an example's is refused, and named by its place", () => {
  const strong = () => randomBytes(24).toString("hex");
  for (const weak of [
    "a".repeat(40),
    "pr_0000000000000000000000",
    "key_abcdabcdabcdabcdabcd",
    "0123456789abcdef",
    "abcdefghijklmnopqrstuvwxyz",
    "change-me-change-me",
    "openssl rand -hex 24",
    "<your key of the API>",
    "replace_this_with_a_key",
    "my-example-api-key-17",
  ]) {
    expect([weak, weakApiKeyProblems([weak])]).toEqual([weak, [expect.stringMatching(/^is easy to guess/)]]);
  }
  expect(weakApiKeyProblems([strong(), "a1b2c3d4e5f6g7h", strong(), "z".repeat(16)])).toEqual([
    expect.stringMatching(/^entry 2 must have at least 16 characters/),
    expect.stringMatching(/^entry 4 is easy to guess/),
  ]);
  const twice = strong();
  expect(weakApiKeyProblems([twice, strong(), twice])).toEqual(["has the same key twice"]);
  expect(weakApiKeyProblems([])).toEqual([expect.stringMatching(/^must have a key/)]);
  for (let n = 0; n < TIMES; n += 1) {
    const keys = [strong(), `pr_${strong()}`, randomBytes(12).toString("base64url"), randomBytes(8).toString("hex")];
    expect([keys, weakApiKeyProblems(keys)]).toEqual([keys, []]);
  }
});

test("a password that is short, or little more than a common word, is refused", () => {
  for (const weak of ["", "postrider", "tr0ub4dor&3"]) {
    expect([weak, weakPasswordProblem(weak)]).toEqual([weak, expect.stringMatching(/^must have at least 12/)]);
  }
  for (const weak of [
    "aaaaaaaaaaaaaaaa",
    "123456789012",
    "passwordpassword",
    "Password1234",
    "P@ssw0rd-2026!",
    "postrider-console",
    "admin admin admin",
    "hunter2hunter2",
    "qwertyuiop123",
    "changeme-please-now",
    "iloveyou1234",
    "football1234",
    "Postgres2024!",
    "Summer2024!!",
    "2024#Winter#2025!$",
    "1q2w3e4r5t6y",
    "q1w2e3r4t5y6u7",
    "zaq12wsxcde3",
    "1qaz!QAZ2wsx@WSX",
    "asdfghjkl;'1",
    "mnbvcxz-98765",
    "qwer1234asdf",
    "F00tball-4711",
    "openssl rand -base64 12",
  ]) {
    expect([weak, weakPasswordProblem(weak)]).toEqual([weak, expect.stringMatching(/^is easy to guess/)]);
  }
  for (const strong of [
    "correct horse",
    "a password for the console",
    "another password",
    "pässwörter sind lang",
    "4719 2280 6315",
    "winter horses",
  ]) {
    expect([strong, weakPasswordProblem(strong)]).toEqual([strong, undefined]);
  }
  for (let n = 0; n < TIMES; n += 1) {
    const made = [
      randomBytes(9).toString("base64url"),
      randomBytes(12).toString("hex"),
      randomBytes(12).toString("base64"),
    ];
    expect(made.map(weakPasswordProblem)).toEqual([undefined, undefined, undefined]);
  }
});
