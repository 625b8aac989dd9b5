import { expect, test } from "vitest";
import { toPublicId } from "@postrider/shared/core/ids/id.ts";
import { formatSecret, verify } from "@postrider/shared/core/signing.ts";
import { signedRequest } from "./signed-request.ts";

const EVENT = "019ac2f0-0000-7000-8000-000000000000";
const NOW = new Date("2026-01-31T12:00:00.900Z");
const BODY = Buffer.from('{"type":"order.created","data":1}');
const keys = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)];
const subscription = {
  tenant: "default",
  url: new URL("https://shop.example/hook"),
  headers: {},
  keys,
  timeoutMs: 15_000,
};

test("a receiver that knows any of the live secrets can verify the request", () => {
  const { headers, body } = signedRequest(subscription, EVENT, BODY, NOW);
  expect(body).toBe(BODY);
  for (const key of keys) expect(verify(formatSecret(key), headers, body, NOW.getTime())).toBe(true);
  expect(verify(formatSecret(Buffer.alloc(32, 3)), headers, body, NOW.getTime())).toBe(false);
});

test("the event's public id is the webhook-id, and the timestamp is in whole seconds", () => {
  const { headers } = signedRequest(subscription, EVENT, BODY, NOW);
  expect(headers).toMatchObject({ "webhook-id": toPublicId("evt", EVENT), "webhook-timestamp": "1769860800" });
});

test("a subscription's headers are sent, and cannot replace those of the protocol", () => {
  const headers = { "x-shop": "1", "webhook-id": "evt_other", "content-type": "text/plain" };
  expect(signedRequest({ ...subscription, headers }, EVENT, BODY, NOW).headers).toMatchObject({
    "x-shop": "1",
    "webhook-id": toPublicId("evt", EVENT),
    "content-type": "application/json",
  });
});
