import { randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import { newTenant } from "@postrider/testkit/factories/events.ts";
import { ManagedProcess } from "@postrider/testkit/processes/managed-process.ts";
import { isSignedWith } from "@postrider/testkit/receiver/request.ts";
import { SteadyPosts } from "@postrider/testkit/stack/steady-posts.ts";
import { useStack } from "@postrider/testkit/vitest.ts";

const newKey = () => randomBytes(32).toString("base64");
const [older, newer] = [newKey(), newKey()] as const;
const e2e = useStack({ workers: 1, env: { ENCRYPTION_KEY: older } });

/** Replaces all processes one by one, the workers first. */
async function restartWith(ENCRYPTION_KEY: string): Promise<void> {
  const before = e2e.stack.runningWorkers;
  await e2e.stack.startWorker({ ENCRYPTION_KEY });
  for (const worker of before) await worker.kill("SIGTERM");
  await e2e.stack.restartIngest("SIGTERM", { ENCRYPTION_KEY });
}

async function rotate(ENCRYPTION_KEY: string) {
  const { databaseUrl: DATABASE_URL, redisUrl: REDIS_URL } = e2e.stack;
  const env = { DATABASE_URL, REDIS_URL, ENCRYPTION_KEY };
  const process = new ManagedProcess({ name: "rotation", script: "scripts/rotate-encryption-key.ts", env });
  const { code } = await process.exit;
  return { code, output: process.output() };
}

test("the key is replaced while events are delivered: none is refused, dead or signed with anything else", async () => {
  const tenant = newTenant();
  const endpoint = e2e.receiver.endpoint();
  const created = { tenant, url: endpoint.url, headers: { authorization: "Bearer s3cret" } };
  const headers = { "idempotency-key": "of the subscription" };
  const post = () =>
    e2e.api.call<{ id: string; secret: string }>("POST", "/v1/subscriptions", { body: created, headers });
  const { id, secret } = (await post()).body;
  const posts = new SteadyPosts(e2e.stack, tenant);

  await restartWith(`${older},${newer}`);
  // Early: the fleet would go on sealing with the older key.
  expect(await rotate(`${newer},${older}`)).toMatchObject({
    code: 1,
    output: expect.stringMatching(/some processes seal with another key .*postrider-ingest with key/) as string,
  });
  await restartWith(`${newer},${older}`);
  expect(await rotate(`${newer},${older}`)).toMatchObject({
    code: 0,
    output: expect.stringContaining("done") as string,
  });
  await restartWith(newer);

  const events = await posts.stop();
  await endpoint.untilEvents(events);
  for (const request of endpoint.requests) {
    expect(request.headers["authorization"]).toBe("Bearer s3cret");
    expect(isSignedWith(request, secret)).toBe(true);
  }
  expect((await e2e.api.deliveries({ tenant, status: "dead" })).data).toEqual([]);
  expect((await e2e.api.call("GET", `/v1/subscriptions/${id}/secret`)).body).toEqual({ secret });
  expect((await post()).body).toMatchObject({ id, secret });
});
