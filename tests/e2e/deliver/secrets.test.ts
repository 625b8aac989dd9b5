import { randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import { newTenant } from "@postrider/testkit/factories/events.ts";
import { isSignedWith } from "@postrider/testkit/receiver/request.ts";
import { useSharedStack } from "@postrider/testkit/vitest.ts";
import { waitFor } from "@postrider/testkit/wait.ts";

const e2e = useSharedStack();
const newSecret = (bytes = 32) => `whsec_${randomBytes(bytes).toString("base64")}`;

async function subscribed() {
  const tenant = newTenant();
  const endpoint = e2e.receiver.endpoint();
  const { id, secret } = await e2e.api.subscribe({ tenant, url: endpoint.url });
  /** Sends an event and answers the request that came of it. */
  async function sample() {
    const event = await e2e.api.send({ type: "order.created", data: 1, tenant });
    await endpoint.untilEvents([event.id]);
    const request = endpoint.requests.find((one) => one.headers["webhook-id"] === event.id);
    if (request === undefined) throw new Error("no request");
    return { request, signatures: String(request.headers["webhook-signature"]).split(" ") };
  }
  return { id, secret, sample };
}

test.concurrent("a secret is returned at creation and by its own route only", async () => {
  const { id, secret } = await subscribed();
  expect((await e2e.api.secret(id)).secret).toBe(secret);
  expect(JSON.stringify(await e2e.api.subscription(id))).not.toContain("whsec_");
  expect(JSON.stringify(await e2e.api.subscriptions())).not.toContain("whsec_");
});

test.concurrent("both secrets sign during the grace period after a rotation", async () => {
  const { id, secret, sample } = await subscribed();
  expect((await sample()).signatures).toHaveLength(1);
  const next = newSecret();
  await e2e.api.rotateSecret(id, { secret: next });
  expect((await e2e.api.secret(id)).secret).toBe(next);
  const { request, signatures } = await sample();
  expect(signatures).toHaveLength(2);
  for (const signature of signatures) expect(signature).toMatch(/^v1,/);
  expect(isSignedWith(request, secret)).toBe(true);
  expect(isSignedWith(request, next)).toBe(true);
});

test.concurrent("after a rotation without a grace period only the new secret signs", async () => {
  const { id, secret, sample } = await subscribed();
  await sample();
  await e2e.api.rotateSecret(id, { graceSeconds: 0 });
  const next = (await e2e.api.secret(id)).secret;
  expect(next).toMatch(/^whsec_/);
  expect(next).not.toBe(secret);
  const { request, signatures } = await sample();
  expect(signatures).toHaveLength(1);
  expect(isSignedWith(request, secret)).toBe(false);
  expect(isSignedWith(request, next)).toBe(true);
});

test.concurrent("the old secret does not sign after its grace period", async () => {
  const { id, secret, sample } = await subscribed();
  await e2e.api.rotateSecret(id, { graceSeconds: 1 });
  const next = (await e2e.api.secret(id)).secret;
  const last = await waitFor("a request with one signature", async () => {
    const { request, signatures } = await sample();
    return signatures.length === 1 && request;
  });
  expect(isSignedWith(last, secret)).toBe(false);
  expect(isSignedWith(last, next)).toBe(true);
});

test.concurrent("a rotation that would break the grace of another secret is refused, until it ends all of them", async () => {
  const { id, secret, sample } = await subscribed();
  const secrets = [secret];
  for (let n = 0; n < 4; n += 1) {
    secrets.push(newSecret());
    await e2e.api.rotateSecret(id, { secret: secrets.at(-1)! });
  }
  const refused = await e2e.api.call("POST", `/v1/subscriptions/${id}/secret/rotate`, { body: { graceSeconds: 60 } });
  expect(refused).toMatchObject({ status: 409, body: { code: "too_many_secrets" } });
  const { request, signatures } = await sample();
  expect(signatures).toHaveLength(5);
  for (const one of secrets) expect(isSignedWith(request, one)).toBe(true);

  const last = newSecret();
  expect(await e2e.api.rotateSecret(id, { secret: last, graceSeconds: 0 })).toEqual({
    secret: last,
    previousExpiresAt: null,
  });
  const after = await sample();
  expect(after.signatures).toHaveLength(1);
  expect(isSignedWith(after.request, last)).toBe(true);
});

test.concurrent("a rotation is accepted again when a grace has ended", async () => {
  const { id } = await subscribed();
  for (const graceSeconds of [2, 60, 60, 60]) await e2e.api.rotateSecret(id, { graceSeconds });
  const rotated = await waitFor("the first grace has ended", async () => {
    const answer = await e2e.api.call("POST", `/v1/subscriptions/${id}/secret/rotate`, { body: { graceSeconds: 60 } });
    return answer.status === 200 && answer;
  });
  expect(rotated.status).toBe(200);
});

test.concurrent("a secret of 64 bytes is accepted", async () => {
  const { id, sample } = await subscribed();
  const secret = newSecret(64);
  await e2e.api.rotateSecret(id, { secret, graceSeconds: 0 });
  expect(isSignedWith((await sample()).request, secret)).toBe(true);
});

test.concurrent.each([
  ["of 23 bytes", newSecret(23)],
  ["of 65 bytes", newSecret(65)],
  ["without its prefix", randomBytes(32).toString("base64")],
  ["that is not base64", "whsec_!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!"],
])("a secret %s is refused, at creation and at rotation", async (_name, secret) => {
  const { id, secret: before } = await subscribed();
  const { url } = e2e.receiver.endpoint();
  const created = await e2e.api.call("POST", "/v1/subscriptions", { body: { url, secret, tenant: newTenant() } });
  const rotated = await e2e.api.call("POST", `/v1/subscriptions/${id}/secret/rotate`, { body: { secret } });
  for (const answer of [created, rotated]) {
    expect(answer).toMatchObject({ status: 400, body: { errors: [{ field: "secret" }] } });
    expect(JSON.stringify(answer.body)).not.toContain(secret);
  }
  expect((await e2e.api.secret(id)).secret).toBe(before);
});
