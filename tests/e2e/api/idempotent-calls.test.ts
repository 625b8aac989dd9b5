import { randomUUID } from "node:crypto";
import { expect, test } from "vitest";
import { newTenant } from "@postrider/testkit/factories/events.ts";
import type { Subscription } from "@postrider/testkit/client/types.ts";
import { useStack } from "@postrider/testkit/vitest.ts";
import { waitFor } from "@postrider/testkit/wait.ts";
import { withClient } from "../../../scripts/services/index.ts";
import { callsTo, expectProblem } from "./problems.ts";

type Created = Subscription & { secret: string };

const e2e = useStack();
const { call } = callsTo(e2e);
const headers = (key: string) => ({ "idempotency-key": key });
const query = <Row extends object>(sql: string, ...values: unknown[]) =>
  withClient(e2e.stack.databaseUrl, async (client) => (await client.query<Row>(sql, values)).rows);

const newSubscription = (tenant = newTenant()) => ({ tenant, url: e2e.receiver.endpoint().url });
const create = (body: unknown, key: string) =>
  e2e.api.call<Created>("POST", "/v1/subscriptions", { body, headers: headers(key) });

test("the same subscription posted again under one key is one subscription, answered with the same secret", async () => {
  const key = randomUUID();
  const body = newSubscription();
  const first = await create(body, key);
  expect([first.status, first.headers.get("idempotent-replayed")]).toEqual([201, null]);
  await e2e.api.changeSubscription(first.body.id, { description: "changed since" });
  const second = await create(body, key);
  expect([second.status, second.headers.get("idempotent-replayed")]).toEqual([201, "true"]);
  expect(second.body).toEqual(first.body);
  expect(second.headers.get("location")).toBe(first.headers.get("location"));
  expect((await e2e.api.subscriptions({ tenant: body.tenant })).data).toHaveLength(1);
});

test("a key that is used again with another body is a conflict, and nothing is created", async () => {
  const key = randomUUID();
  const body = newSubscription();
  await create(body, key);
  const other = await call("POST", "/v1/subscriptions", { body: { ...body, description: "x" }, headers: headers(key) });
  expectProblem(other, 409);
  expect(other.body).toMatchObject({ code: "idempotency_conflict", errors: [{ field: "Idempotency-Key" }] });
  expect((await e2e.api.subscriptions({ tenant: body.tenant })).data).toHaveLength(1);
});

test("a key counts for one tenant and one call", async () => {
  const key = randomUUID();
  const [one, two] = [await create(newSubscription(), key), await create(newSubscription(), key)];
  expect(one.body.id).not.toBe(two.body.id);
  const paths = [one, two].map(({ body }) => `/v1/subscriptions/${body.id}/secret/rotate`);
  const secrets = await Promise.all(
    paths.map((path) => e2e.api.call<{ secret: string }>("POST", path, { headers: headers(key) })),
  );
  expect(new Set(secrets.map(({ body }) => body.secret)).size).toBe(2);
  await e2e.api.send({ type: "order.created", data: 1, tenant: one.body.tenant, idempotencyKey: key });
});

test("of many requests at once under one key, one creates and all are answered alike", async () => {
  const key = randomUUID();
  const body = newSubscription();
  const answers = await Promise.all(Array.from({ length: 30 }, () => create(body, key)));
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([201]));
  expect(new Set(answers.map((one) => one.body.secret)).size).toBe(1);
  expect(answers.filter((one) => one.headers.get("idempotent-replayed") === null)).toHaveLength(1);
  expect((await e2e.api.subscriptions({ tenant: body.tenant })).data).toHaveLength(1);
});

test("a rotation that is repeated rotates once", async () => {
  const key = randomUUID();
  const { id } = await e2e.api.subscribe(newSubscription());
  const rotate = (options = {}) =>
    call("POST", `/v1/subscriptions/${id}/secret/rotate`, { headers: headers(key), ...options });
  const answers = [await rotate(), await rotate(), await rotate({ body: {} }), await rotate({ raw: " " })];
  for (const { status, body } of answers) expect([status, body]).toEqual([200, answers[0]!.body]);
  const [row] = await query<{ live: number }>(
    "select jsonb_array_length(secrets) as live from subscriptions order by id desc limit 1",
  );
  expect(row).toEqual({ live: 2 });
  expectProblem(await rotate({ body: { graceSeconds: 0 } }), 409);
});

test("a retry that is repeated sends once, however the first one ended", async () => {
  const key = randomUUID();
  const subscription = newSubscription();
  await e2e.api.subscribe(subscription);
  const event = await e2e.api.send({ type: "order.created", data: 1, tenant: subscription.tenant });
  const { id } = await e2e.api.untilDelivery(event.id, "delivered");
  const retry = () => call("POST", `/v1/deliveries/${id}/retry`, { headers: headers(key) });
  const answers = await Promise.all(Array.from({ length: 10 }, retry));
  await e2e.api.untilDelivery(event.id, "delivered");
  answers.push(await retry());
  for (const { status, body } of answers) expect([status, body]).toEqual([202, answers[0]!.body]);
  expect(await e2e.api.untilDelivery(event.id, "delivered")).toMatchObject({ attemptCount: 2 });
});

test("a repeated pause, resume or enable does not undo what came after it", async () => {
  const { id } = await e2e.api.subscribe(newSubscription());
  const act = (action: string, key: string) =>
    e2e.api.call<Subscription>("POST", `/v1/subscriptions/${id}/${action}`, { headers: headers(key) });
  const paused = await act("pause", "first");
  await act("resume", "first");
  const again = await act("pause", "first");
  expect([again.headers.get("idempotent-replayed"), again.body]).toEqual(["true", paused.body]);
  expect((await e2e.api.subscription(id)).status).toBe("active");
  expect((await act("enable", "first")).body.breaker.state).toBe("closed");
});

test("an answer is kept sealed", async () => {
  const { body } = await create(newSubscription(), randomUUID());
  const rows = await query<{ row: string }>(
    "select row_to_json(k)::text as row from idempotency_keys k where tenant = $1",
    body.tenant,
  );
  expect(rows).toHaveLength(1);
  for (const text of [body.secret, body.secret.slice(6), body.url]) expect(rows[0]!.row).not.toContain(text);
});

test("a key and what it stands for are stored together or not at all", async () => {
  await query(`create function refuse() returns trigger language plpgsql as $$ begin raise 'refused'; end $$`);
  await query("create trigger refuse before insert on idempotency_keys for each row execute function refuse()");
  const key = randomUUID();
  const body = newSubscription();
  expectProblem(await call("POST", "/v1/subscriptions", { body, headers: headers(key) }), 500);
  await query("drop trigger refuse on idempotency_keys");
  expect((await e2e.api.subscriptions({ tenant: body.tenant })).data).toEqual([]);
  expect((await create(body, key)).status).toBe(201);
  expect((await e2e.api.subscriptions({ tenant: body.tenant })).data).toHaveLength(1);
});

test("a process that dies before the commit leaves the key free, and nothing behind", async () => {
  await query(
    "create function wait() returns trigger language plpgsql as $$ begin perform pg_sleep(3); return new; end $$",
  );
  await query("create trigger wait before insert on idempotency_keys for each row execute function wait()");
  const key = randomUUID();
  const body = newSubscription();
  const lost = create(body, key).catch(() => undefined);
  await waitFor("it is about to commit", async () => {
    const sleeping = await query(
      "select from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'",
    );
    return sleeping.length > 0;
  });
  await e2e.stack.restartIngest("SIGKILL");
  await lost;
  await query("drop trigger wait on idempotency_keys");
  expect((await e2e.api.subscriptions({ tenant: body.tenant })).data).toEqual([]);
  expect((await create(body, key)).status).toBe(201);
  expect((await create(body, key)).headers.get("idempotent-replayed")).toBe("true");
  expect((await e2e.api.subscriptions({ tenant: body.tenant })).data).toHaveLength(1);
});

test("a call whose key or row another transaction holds is answered that the first one is under way", async () => {
  const { id, tenant } = await e2e.api.subscribe(newSubscription());
  const rotate = () => call("POST", `/v1/subscriptions/${id}/secret/rotate`, { headers: headers("held") });
  const body = newSubscription(tenant);
  await withClient(e2e.stack.databaseUrl, async (client) => {
    await client.query("begin");
    await client.query("select from subscriptions for update");
    await client.query("insert into idempotency_keys values ($1, $2, '', null, now(), '{}')", [
      tenant,
      "subscriptions\u001fheld",
    ]);
    for (const answer of await Promise.all([rotate(), create(body, "held")])) {
      expect([answer.status, answer.headers.get("retry-after")]).toEqual([409, "1"]);
      expect(answer.body).toMatchObject({ code: "idempotency_in_progress" });
    }
    await client.query("rollback");
  });
  expect((await rotate()).status).toBe(200);
  expect((await create(body, "held")).status).toBe(201);
});

test("a call whose answer no key opens any more is answered that it was carried out", async () => {
  const key = randomUUID();
  const body = newSubscription();
  await create(body, key);
  await query(
    `update idempotency_keys set answer = jsonb_set(answer, '{keyId}', '"another"') where tenant = $1`,
    body.tenant,
  );
  const again = await call("POST", "/v1/subscriptions", { body, headers: headers(key) });
  expectProblem(again, 409);
  expect(again.body).toMatchObject({ code: "idempotency_answer_lost" });
  expect(again.body.detail).toContain("was carried out");
  expect((await e2e.api.subscriptions({ tenant: body.tenant })).data).toHaveLength(1);
});

test("a key whose 24 hours are over is free again", async () => {
  const key = randomUUID();
  const body = newSubscription();
  const first = await create(body, key);
  await query("update idempotency_keys set expires_at = now() where tenant = $1", body.tenant);
  const second = await create({ ...body, description: "another" }, key);
  expect(second.status).toBe(201);
  expect(second.body.id).not.toBe(first.body.id);
  expect((await create({ ...body, description: "another" }, key)).body).toEqual(second.body);
});

test.each(["", "x".repeat(256)])("a key of the wrong length is refused: %#", async (key) => {
  expectProblem(await call("POST", "/v1/subscriptions", { body: newSubscription(), headers: headers(key) }), 400);
});
