import { randomBytes } from "node:crypto";
import { beforeAll, expect, test } from "vitest";
import type { Delivery, Page } from "@postrider/testkit/client/types.ts";
import { SteadyPosts } from "@postrider/testkit/stack/steady-posts.ts";
import { useStack } from "@postrider/testkit/vitest.ts";
import { waitFor } from "@postrider/testkit/wait.ts";
import { withClient } from "../../../scripts/services/index.ts";
import { addTenantKey } from "../tenant-key.ts";

const e2e = useStack({ workers: 0, env: { READ_TIMEOUT: "500ms", READS_PER_TENANT: "4", READ_POOL_SIZE: "2" } });
const tenant = "small";
const READERS = 25;
/** A tenant may have many: the limit is of the tenant. */
const KEYS = 8;
const keys: string[] = [];

beforeAll(async () => {
  for (let n = 0; n < KEYS; n += 1) keys.push(await addTenantKey(e2e.stack.databaseUrl, tenant, ["read"]));
  await e2e.api.subscribe({ url: "http://127.0.0.1:9/", tenant });
  await e2e.api.sendBatch(Array.from({ length: 100 }, (_, n) => ({ type: "a", data: n, tenant })));
});

let reads = 0;
const read = (path = "/v1/deliveries") =>
  e2e.api.call<Page<Delivery>>("GET", path, { key: keys[(reads += 1) % KEYS]! });

test("while all reads hang, posts are accepted, other keys are found and ingest is ready", async () => {
  await withClient(e2e.stack.databaseUrl, async (client) => {
    // Readers wait for the lock of a table that accepting events does not need.
    await client.query("begin");
    await client.query("lock table attempts in access exclusive mode");
    const { id } = (await read()).body.data[0]!;
    const hanging = new AbortController();
    const statuses = new Map<number, number>();
    const codes = new Set<string>();
    const readers = Array.from({ length: READERS }, async () => {
      while (!hanging.signal.aborted) {
        const { status, body, headers } = await read(`/v1/deliveries/${id}`);
        statuses.set(status, (statuses.get(status) ?? 0) + 1);
        codes.add((body as unknown as { code: string }).code);
        if (status !== 200) expect(headers.get("retry-after")).toBe("1");
      }
    });
    await waitFor("reads were refused and timed out", () => statuses.has(429) && statuses.has(503));
    const posts = new SteadyPosts(e2e.stack, "other");
    await waitFor("200 posts were accepted", () => posts.accepted.length > 200);
    const unknown = await e2e.api.call("GET", "/v1/events", { key: randomBytes(24).toString("hex") });
    expect(unknown.status).toBe(401);
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => e2e.api.call("POST", "/v1/events", { body: { type: "a", data: 1 } })),
    );
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 202));
    expect((await e2e.api.call("GET", "/readyz")).status).toBe(200);
    hanging.abort();
    await client.query("rollback");
    await Promise.all([...readers, posts.stop()]);
    expect([...codes].filter(Boolean).toSorted()).toEqual(["read_timeout", "too_many_reads"]);
    expect(new Set(statuses.keys()).difference(new Set([200, 429, 503])).size).toBe(0);
  });
  expect((await read()).status).toBe(200);
});

test("readers of a small tenant's list get it, and posts of others go on", async () => {
  const reading = new AbortController();
  const statuses: number[] = [];
  const readers = Array.from({ length: READERS }, async () => {
    while (!reading.signal.aborted) statuses.push((await read()).status);
  });
  const posted: number[] = [];
  for (let n = 0; n < 100; n += 1) {
    posted.push((await e2e.api.call("POST", "/v1/events", { body: { type: "a", data: n, tenant: "other" } })).status);
  }
  reading.abort();
  await Promise.all(readers);
  expect(posted).toEqual(posted.map(() => 202));
  expect(new Set(statuses)).toEqual(new Set([200, 429]));
});
