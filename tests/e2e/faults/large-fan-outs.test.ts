import { Redis } from "ioredis";
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { newId } from "@postrider/shared/runtime/new-id.ts";
import { newTenant } from "@postrider/testkit/factories/events.ts";
import { QUICK_TAKEOVER } from "@postrider/testkit/stack/settings.ts";
import { useStack } from "@postrider/testkit/vitest.ts";
import { waitFor } from "@postrider/testkit/wait.ts";

const e2e = useStack({ workers: 1, env: QUICK_TAKEOVER });
const LONG = { within: 120_000, every: 100 };

let client: pg.Client;
beforeAll(async () => {
  client = new pg.Client({ connectionString: e2e.stack.databaseUrl });
  await client.connect();
  // A process that starts opens the secret of the newest subscription.
  await e2e.api.subscribe({ tenant: newTenant(), url: e2e.receiver.endpoint().url });
});
afterAll(() => client?.end());

const query = async <Row extends object>(text: string, ...values: unknown[]): Promise<Row[]> =>
  (await client.query<Row>(text, values)).rows;

/** Paused subscriptions, whose deliveries are held and cost no requests. @returns their ids, older than all others' */
async function subscribePaused(tenant: string, count: number): Promise<string[]> {
  const ids = Array.from({ length: count }, () => `0190${newId().slice(4)}`);
  await query(
    `with made as (
       insert into subscriptions (id, tenant, url, event_types, secrets, headers, max_in_flight, metadata, status)
       select unnest($1::uuid[]), $2, 'http://127.0.0.1:9/', '{*}', '[]', '{}', 32, '{}', 'paused' returning id
     )
     insert into subscription_patterns (tenant, pattern, subscription_id) select $2, '*', id from made`,
    ids,
    tenant,
  );
  return ids;
}

const untilExpanded = (tenant: string) =>
  waitFor(
    `the events of ${tenant} are expanded`,
    async () => (await query("select from expansions where tenant = $1", tenant)).length === 0,
    LONG,
  );

test("while an event expands, every answer has what is written so far, and in the end the final number", async () => {
  const tenant = newTenant();
  await subscribePaused(tenant, 1_700);
  await e2e.stack.runningWorkers[0]!.kill("SIGTERM");
  const event = { type: "order.created", data: 1, tenant, idempotencyKey: "once" };
  const sent = await e2e.api.send(event);
  expect(sent).toMatchObject({ deliveries: 1_000, expanding: true, duplicate: false });
  const soFar = { id: sent.id, deliveries: 1_000, expanding: true };
  expect(await e2e.api.send(event)).toMatchObject({ ...soFar, duplicate: true });
  expect(await e2e.api.event(sent.id)).toMatchObject(soFar);
  expect((await e2e.api.events({ tenant })).data).toMatchObject([soFar]);

  await e2e.stack.startWorker();
  await untilExpanded(tenant);
  const final = { id: sent.id, deliveries: 1_700, expanding: false };
  expect(await e2e.api.send(event)).toMatchObject({ ...final, duplicate: true });
  expect(await e2e.api.event(sent.id)).toMatchObject(final);
  expect((await e2e.api.events({ tenant })).data).toMatchObject([final]);
});

test("a tenant with millions of unwritten deliveries is answered 429 with Retry-After, and other tenants are not", async () => {
  const [tenant, other] = [newTenant(), newTenant()];
  await subscribePaused(tenant, 1_100);
  // Their subscriptions come after all others, so that writing them takes no time.
  await query(
    `insert into expansions (event_id, tenant, event_type, patterns, last_subscription, written, matches, first_batch)
     select gen_random_uuid(), $1, 'x', 'none', 'ffffffff-ffff-ffff-ffff-ffffffffffff', 0, 1000, 0 from generate_series(1, 6000)`,
    tenant,
  );
  const answer = await e2e.api.call("POST", "/v1/events", { body: { type: "order.created", data: 1, tenant } });
  expect(answer).toMatchObject({ status: 429, body: { code: "expansion_backlog", status: 429 } });
  expect(Number(answer.headers.get("retry-after"))).toBeGreaterThan(0);
  expect(await e2e.api.send({ type: "order.created", data: 1, tenant: other })).toMatchObject({ expanding: false });
});

test("a large fan-out is full, and once per subscription, although every process is killed and Redis is emptied while subscriptions change", async () => {
  const tenant = newTenant();
  const endpoint = e2e.receiver.endpoint();
  const active = await Promise.all(Array.from({ length: 20 }, () => e2e.api.subscribe({ tenant, url: endpoint.url })));
  const paused = await subscribePaused(tenant, 4_000);
  const unchanged = paused.filter((_, index) => index % 4 !== 0);
  const changing = paused.filter((_, index) => index % 4 === 0);

  const redis = new Redis(e2e.stack.redisUrl);
  const sent: string[] = [];
  const events = Array.from({ length: 8 }, (_, order) => ({ type: "order.created", data: { order }, tenant }));
  sent.push(...(await e2e.api.sendBatch(events)).map(({ id }) => id));

  /** Deletes, edits and creates subscriptions until `signal`, as their owners would. */
  let isOver = false;
  const later: string[] = [];
  async function change(): Promise<void> {
    for (const id of changing) {
      if (isOver) return;
      await query("delete from subscription_patterns where subscription_id = $1", id);
      if (id.endsWith("0")) await query("update subscriptions set deleted_at = now() where id = $1", id);
      else {
        await query("insert into subscription_patterns values ($1, 'invoice.*', $2)", tenant, id);
      }
      later.push(...(await subscribePaused(tenant, 3)));
    }
  }
  const changed = change();
  for (let round = 0; round < 3; round += 1) {
    const before = (await query<{ n: number }>("select sum(written)::int as n from expansions where tenant = $1", tenant))[0]!.n; // prettier-ignore
    await waitFor("a page is written", async () => {
      const [row] = await query<{ n: number | null }>("select sum(written)::int as n from expansions where tenant = $1", tenant); // prettier-ignore
      return row!.n !== before;
    }, LONG); // prettier-ignore
    await Promise.all(e2e.stack.runningWorkers.map((worker) => worker.kill("SIGKILL")));
    await e2e.stack.restartIngest("SIGKILL");
    await redis.flushdb();
    await e2e.stack.startWorker();
  }
  await untilExpanded(tenant);
  isOver = true;
  await changed;
  await redis.quit();

  const [made] = await query<{ all: number; distinct: number; missing: number; later: number }>(
    `select count(*)::int as all, count(distinct (event_id, subscription_id))::int as distinct,
       (select count(*)::int from unnest($2::uuid[]) e, unnest($3::uuid[]) s
        where not exists (select from deliveries d where d.id = delivery_id(e, s))) as missing,
       count(*) filter (where subscription_id = any ($4::uuid[]))::int as later
     from deliveries where tenant = $1`,
    tenant,
    await query<{ id: string }>("select id from events where tenant = $1", tenant).then((rows) => rows.map(({ id }) => id)),
    unchanged,
    later,
  ); // prettier-ignore
  expect(made).toMatchObject({ distinct: made!.all, missing: 0, later: 0 });
  const shown = await Promise.all(sent.map((id) => e2e.api.event(id)));
  expect(shown.every(({ expanding }) => !expanding)).toBe(true);
  expect(shown.reduce((sum, { deliveries }) => sum + deliveries, 0)).toBe(made!.all);

  await waitFor(
    "all of the active subscriptions' are delivered, and the others are held",
    async () => {
      const [open] = await query<{ open: number; delivered: number }>(
        `select count(*) filter (where state in ('pending', 'retrying'))::int as open,
           count(*) filter (where state = 'delivered')::int as delivered from deliveries where tenant = $1`,
        tenant,
      );
      return open!.open === 0 && open!.delivered === active.length * sent.length;
    },
    LONG,
  );
});
