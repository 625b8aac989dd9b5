import { randomBytes } from "node:crypto";
import fc from "fast-check";
import { Webhook } from "standardwebhooks";
import { describe, expect, test } from "vitest";
import { formatSecret, parseSecret, sign, verify } from "./signing.ts";

const now = Date.now();
const timestamp = Math.floor(now / 1000);
const key = randomBytes(32);
const secret = formatSecret(key);
const id = "evt_01m82k09neek2bft6tjwd2v5p6";
const body = '{"type":"order.created","timestamp":"2026-11-22T21:36:11.438Z","data":{"ünïcode":"✓ 🎉"}}';

const headersOf = (signature: string, at = timestamp) => ({
  "webhook-id": id,
  "webhook-timestamp": String(at),
  "webhook-signature": signature,
});

describe("against the reference library of Standard Webhooks", () => {
  test("the library verifies our signature of any body", () => {
    fc.assert(
      fc.property(fc.json(), fc.uint8Array({ minLength: 24, maxLength: 64 }), (json, bytes) => {
        const headers = headersOf(sign([Buffer.from(bytes)], id, timestamp, json));
        expect(new Webhook(formatSecret(Buffer.from(bytes))).verify(json, headers)).toEqual(JSON.parse(json));
      }),
      { numRuns: 50 },
    );
  });

  test("we verify the library's signature", () => {
    expect(verify(secret, headersOf(new Webhook(secret).sign(id, new Date(now), body)), body, now)).toBe(true);
  });

  test("with two live secrets, a receiver with either of them verifies", () => {
    const newer = randomBytes(24);
    const headers = headersOf(sign([newer, key], id, timestamp, body));
    for (const known of [newer, key])
      expect(() => new Webhook(formatSecret(known)).verify(body, headers)).not.toThrow();
    expect(verify([secret], headers, body, now)).toBe(true);
    expect(() => new Webhook(formatSecret(randomBytes(24))).verify(body, headers)).toThrow();
  });
});

describe("a receiver", () => {
  const signature = sign([key], id, timestamp, body);
  const good = headersOf(signature);

  test("accepts genuine webhooks", () => {
    expect(verify(secret, good, body, now)).toBe(true);
    expect(verify(secret, good, Buffer.from(body), now)).toBe(true);
    const anyCase = { "Webhook-Id": id, "WEBHOOK-TIMESTAMP": String(timestamp), "Webhook-Signature": [signature] };
    expect(verify([formatSecret(randomBytes(32)), secret], anyCase, body, now)).toBe(true);
  });

  test.each([
    ["another body", good, `${body} `],
    ["another id", { ...good, "webhook-id": "evt_other" }, body],
    ["another timestamp", { ...good, "webhook-timestamp": String(timestamp + 1) }, body],
    ["a second id beside the genuine one", { ...good, "webhook-id": [id, "evt_other"] }, body],
    ["a signature with something added", { ...good, "webhook-signature": signature.replace("v1,", "v1,!!") }, body],
    ["the timestamp in another spelling", { ...good, "webhook-timestamp": `0${timestamp}` }, body],
    ["a timestamp that is no number", { ...good, "webhook-timestamp": "now" }, body],
    ["no signature", { ...good, "webhook-signature": undefined }, body],
    ["an empty signature", { ...good, "webhook-signature": "" }, body],
    ["another version", { ...good, "webhook-signature": signature.replace("v1,", "v2,") }, body],
    ["a signature cut short", { ...good, "webhook-signature": signature.slice(0, -8) }, body],
  ])("refuses %s", (_what, headers, received) => {
    expect(verify(secret, headers, received, now)).toBe(false);
  });

  test("refuses a webhook that is older or further ahead than the tolerance", () => {
    for (const at of [timestamp - 301, timestamp + 302]) {
      expect(verify(secret, headersOf(sign([key], id, at, body), at), body, now)).toBe(false);
      expect(verify(secret, headersOf(sign([key], id, at, body), at), body, now, 400)).toBe(true);
    }
  });

  test("refuses everything if the clock or the tolerance is NaN", () => {
    expect(verify(secret, good, body, Number.NaN)).toBe(false);
    expect(verify(secret, good, body, now, Number.NaN)).toBe(false);
  });

  test("accepts a genuine signature among others, in one header or several", () => {
    const other = sign([randomBytes(32)], id, timestamp, body);
    for (const signatures of [
      `${other} v1a,AAAA v1 ${signature}`,
      `${signature} ${other}`,
      [other, signature],
      `${other}, ${signature}`,
    ]) {
      expect(verify(secret, { ...good, "webhook-signature": signatures }, body, now)).toBe(true);
    }
  });

  test("refuses a wrong secret", () => {
    expect(verify(formatSecret(randomBytes(32)), good, body, now)).toBe(false);
  });
});

describe("a secret", () => {
  test("is formatted and parsed without loss", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 24, maxLength: 64 }), (bytes) => {
        expect(parseSecret(formatSecret(Buffer.from(bytes)))).toEqual(Buffer.from(bytes));
      }),
    );
  });

  test.each([
    "",
    "whsec_",
    "whsec_shor",
    `whsec_${randomBytes(23).toString("base64")}`,
    `whsec_${randomBytes(65).toString("base64")}`,
    randomBytes(32).toString("base64"),
    `whsec_${"!".repeat(44)}`,
    `whsec_${"A".repeat(43)}`,
    `whsec_${"A".repeat(42)}B=`,
    `whsec_${"-_".repeat(22)}`,
    `whsec_ ${randomBytes(32).toString("base64")}`,
  ])("is refused as %j without being repeated", (text) => {
    const refused = parseSecret(text) as { problem: string };
    expect(refused.problem).toMatch(/^must be whsec_ followed by the base64/);
  });
});
