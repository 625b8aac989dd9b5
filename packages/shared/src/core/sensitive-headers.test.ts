import { expect, test } from "vitest";
import { isSensitiveHeader, MASK, maskCredentials } from "./sensitive-headers.ts";

test.each([
  ["Authorization", "x"],
  ["X-API-Key", "x"],
  ["cookie", "a=b"],
  ["X-Gitlab-Token", "x"],
  ["client-secret", "x"],
  ["x-password", "x"],
  ["cf-access-client-credential", "x"],
  ["X-Forward", "Basic dXNlcjpwYXNz"],
  ["x-forward", "bearer abc"],
  ["x-user", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln"],
])("%s: %s is a credential", (name, value) => expect(isSensitiveHeader(name, value)).toBe(true));

test.each([
  ["x-team", "accounting"],
  ["x-environment", "production"],
  ["accept-language", "en"],
  ["x-note", "basic"],
])("%s: %s is none", (name, value) => expect(isSensitiveHeader(name, value)).toBe(false));

test("credentials are masked in a text in the forms that a receiver may write them in", () => {
  const headers = { authorization: 'Bearer abc"def', "x-key": "123456", cookie: "a=1; b=2", "x-team": "accounting" };
  const text = 'Bearer abc"def abc"def {"t":"abc\\"def"} 123456 a=1; b=2 accounting';
  expect(maskCredentials(text, headers)).toBe(`${MASK} ${MASK} {"t":"${MASK}"} ${MASK} ${MASK} accounting`);
});

test("a credential of a few characters masks nothing, since any text may have them", () => {
  expect(maskCredentials("a 1 and Bearer on", { "x-key": "1", authorization: "a" })).toBe("a 1 and Bearer on");
});
