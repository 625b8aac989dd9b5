import { randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import { createSecretBox } from "./secret-box.ts";

const secret = randomBytes(32);

test("a sealed secret opens to the same bytes, and two seals of it differ", () => {
  const box = createSecretBox([randomBytes(32)]);
  const sealed = box.seal(secret, "sub");
  expect(box.open(sealed, "sub")).toEqual(secret);
  expect(box.seal(secret, "sub").sealed).not.toBe(sealed.sealed);
});

test("an opened secret keeps no more memory than its own bytes, because workers cache it", () => {
  const box = createSecretBox([randomBytes(32)]);
  expect(box.open(box.seal(secret, "sub"), "sub").buffer.byteLength).toBe(secret.length);
});

test("a secret that was altered, or belongs to another subscription, does not open", () => {
  const box = createSecretBox([randomBytes(32)]);
  const sealed = box.seal(secret, "sub");
  const altered = Buffer.from(sealed.sealed, "base64");
  altered[20]! ^= 1;
  expect(() => box.open({ ...sealed, sealed: altered.toString("base64") }, "sub")).toThrow();
  expect(() => box.open(sealed, "other")).toThrow();
});

test("a secret of another encryption key is refused with both key ids, which do not reveal the keys", () => {
  const key = randomBytes(32);
  const sealed = createSecretBox([randomBytes(32)]).seal(secret, "sub");
  expect(() => createSecretBox([key]).open(sealed, "sub")).toThrow(
    /sealed under key [0-9a-f]{8}, and ENCRYPTION_KEY is key/,
  );
});

test("of several keys the first seals, and each of them opens", () => {
  const [older, newer] = [randomBytes(32), randomBytes(32)];
  const before = createSecretBox([older]);
  const both = createSecretBox([newer, older]);
  const after = createSecretBox([newer]);
  expect(both.open(before.seal(secret, "sub"), "sub")).toEqual(secret);
  expect(after.open(both.seal(secret, "sub"), "sub")).toEqual(secret);
  expect(both.keyIds).toEqual([after.keyId, before.keyId]);
  expect(() => both.open(createSecretBox([randomBytes(32)]).seal(secret, "sub"), "sub")).toThrow(/has the keys/);
});
