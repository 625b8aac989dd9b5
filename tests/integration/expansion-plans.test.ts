import { afterAll, beforeAll, expect, test } from "vitest";
import { newId } from "@postrider/shared/runtime/new-id.ts";
import { matching } from "@postrider/shared/store/sql/matching.ts";
import { writeExpansionPage } from "@postrider/shared/store/sql/write-expansion-page.ts";
import { createTestWorld } from "@postrider/testkit/vitest.ts";
import type { World } from "@postrider/testkit/world/world.ts";
import { flushStatistics } from "./flush-statistics.ts";

const SUBSCRIPTIONS = 100_000;
const PAGE = 1_000;

let world: World;
beforeAll(async () => {
  world = await createTestWorld();
  // Plans are made while the tables are empty, as those of a worker that starts.
  await writeExpansionPage(world.context.pool, "default", newId());
  await world.subscribeMany(SUBSCRIPTIONS);
});
afterAll(() => world.close());

interface Plan {
  "Node Type": string;
  "Relation Name"?: string;
  "Actual Rows": number;
  "Actual Loops": number;
  Plans?: Plan[];
}

const nodesOf = (plan: Plan): Plan[] => [plan, ...(plan.Plans ?? []).flatMap(nodesOf)];

/** The nodes that read a table, of a query for one page, as it ran. */
async function scans(from: { after: string; createdUntil: string } | undefined, settings: string): Promise<Plan[]> {
  const text = matching({
    tenant: "asked.tenant",
    patterns: "asked.patterns",
    limit: String(PAGE),
    ...(from ? { from } : {}),
  });
  const client = await world.context.pool.connect();
  try {
    await client.query(settings);
    const { rows } = await client.query<{ "QUERY PLAN": [{ Plan: Plan }] }>(
      `explain (analyze, format json) select * from (values ('default', '*,order.*,order.created')) asked (tenant, patterns)
       cross join lateral (${text}) m`,
    );
    return nodesOf(rows[0]!["QUERY PLAN"][0].Plan).filter((node) => node["Relation Name"] !== undefined);
  } finally {
    client.release(true);
  }
}

test.each(["set enable_seqscan = off", "set enable_seqscan = on", "analyze subscriptions, subscription_patterns"])(
  "a page reads the index entries of its own subscriptions, wherever its cursor stands (%s)",
  async (settings) => {
    const { rows } = await world.context.pool.query<{ id: string }>(
      "select id from subscriptions order by id offset $1 limit 1",
      [SUBSCRIPTIONS / 2],
    );
    for (const from of [undefined, { after: `'${rows[0]!.id}'::uuid`, createdUntil: "now()" }]) {
      const found = await scans(from, settings);
      expect(found.map((node) => node["Node Type"]).every((type) => /^Index (Only )?Scan$/.test(type))).toBe(true);
      for (const node of found) expect(node["Actual Rows"] * node["Actual Loops"]).toBeLessThanOrEqual(PAGE + 3);
    }
  },
);

test("accepting an event for 100,000 subscriptions counts them once, and each page reads only what it writes", async () => {
  const before = await entriesRead();
  await world.accept({}, {}, {});
  for (let page = 0; page < 3; page += 1) {
    const { written } = await writeExpansionPage(world.context.pool, "default", newId());
    expect(written).toBe(PAGE);
  }
  expect((await entriesRead()) - before).toBeLessThan(SUBSCRIPTIONS + 6 * 3 * PAGE);
});

test("an event that few subscriptions want costs no look at the others of its tenant, however rare such tenants are", async () => {
  const { pool } = world.context;
  // On average a tenant has a few patterns, and one has thousands.
  await pool.query(
    `insert into subscription_patterns (tenant, pattern, subscription_id)
     select 'tenant-' || n, 'order.created', gen_random_uuid() from generate_series(1, 20000) n
     union all
     select 'large', 'type-' || n, gen_random_uuid() from generate_series(1, 20000) n`,
  );
  await pool.query("analyze subscription_patterns");
  const before = await entriesRead();
  const events = 20;
  await world.accept(...Array.from({ length: events }, () => ({ tenant: "large", type: "order.created" })));
  expect((await entriesRead()) - before).toBeLessThan(events * 20);
});

/** Index entries of subscriptions that Postgres has read so far. */
async function entriesRead(): Promise<number> {
  const { pool } = world.context;
  await flushStatistics(pool);
  const { rows } = await pool.query<{ n: number }>(
    "select sum(idx_tup_read)::int as n from pg_stat_user_indexes where indexrelname like 'subscription%'",
  );
  return rows[0]!.n;
}
