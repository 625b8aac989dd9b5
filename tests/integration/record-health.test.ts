import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createLogger } from "@postrider/shared/runtime/telemetry/logger.ts";
import { recordHealth, type HealthRecord } from "@postrider/shared/store/sql/record-health.ts";
import { createTestWorld } from "@postrider/testkit/vitest.ts";
import type { World } from "@postrider/testkit/world/world.ts";
import type { Subscription } from "../../apps/worker/src/delivery.ts";
import { disableSubscription } from "../../apps/worker/src/deliver/disable-subscription.ts";
import { createSubscriptionHealth } from "../../apps/worker/src/record/subscription-health.ts";

const POLICY = { disableAfterMs: 3_600_000, silenceMs: 900_000 };

interface Row {
  last_success_at: Date | null;
  last_failure_at: Date | null;
  last_error: string | null;
  failing_since: Date | null;
  status: string;
  disabled_reason: string | null;
}

let world: World;
let id: string;
beforeAll(async () => {
  world = await createTestWorld();
});
afterAll(() => world.close());
beforeEach(async () => {
  await world.context.pool.query("truncate subscriptions, subscription_patterns");
  id = await world.subscribe();
});

async function rows(): Promise<Row[]> {
  const columns = "last_success_at, last_failure_at, last_error, failing_since, status, disabled_reason";
  return (await world.context.pool.query<Row>(`select ${columns} from subscriptions order by id`)).rows;
}
const row = async () => (await rows())[0]!;

const record = (over: Partial<HealthRecord>): HealthRecord => ({
  subscriptionId: id,
  successMsAgo: null,
  failureMsAgo: null,
  error: null,
  openedMsAgo: null,
  revision: null,
  ...over,
});

async function write(over: Partial<HealthRecord>): Promise<Row> {
  await recordHealth(world.context.pool, [record(over)], POLICY);
  return row();
}

test("two workers that write the same subscriptions in opposite order do not deadlock", async () => {
  const others = await Promise.all(Array.from({ length: 300 }, () => world.subscribe()));
  const records = others.map((subscriptionId) => record({ subscriptionId, successMsAgo: 0 }));
  const reversed = records.toReversed();
  for (let times = 0; times < 20; times += 1) {
    await Promise.all([records, reversed].map((some) => recordHealth(world.context.pool, some, POLICY)));
  }
  expect((await rows()).filter((one) => one.last_success_at !== null)).toHaveLength(300);
});

test("an older time and its error never replace a newer one", async () => {
  const newer = await write({ successMsAgo: 1_000, failureMsAgo: 2_000, error: "new" });
  const older = await write({ successMsAgo: 60_000, failureMsAgo: 60_000, error: "old" });
  expect(older).toEqual(newer);
});

test("a success that comes before an opening does not end the outage that the opening starts", async () => {
  await world.context.pool.query("update subscriptions set failing_since = now() - interval '10 minutes'");
  const { failing_since } = await write({ successMsAgo: 2_000, openedMsAgo: 1_000, failureMsAgo: 1_000 });
  expect(Date.now() - Number(failing_since)).toBeLessThan(60_000);
  expect(await write({ openedMsAgo: 2_000, failureMsAgo: 2_000, successMsAgo: 1_000 })).toMatchObject({
    failing_since: null,
  });
});

describe("a subscription that was changed while a request was under way", () => {
  const load = async (): Promise<Subscription> =>
    (await world.context.loadSubscribers([id], Date.now())).get(id)!.subscription as Subscription;
  /** As the API does it. */
  const change = (assignments: string) =>
    world.context.pool.query(`update subscriptions set ${assignments}, updated_at = clock_timestamp()`);
  const disable = (subscription: Subscription) => disableSubscription(world.context, subscription, "gone");
  const log = createLogger("test", "silent");

  test("a 410 disables the subscription that it answers, once", async () => {
    const sentTo = await load();
    await disable(sentTo);
    expect(await row()).toMatchObject({ status: "disabled", disabled_reason: "gone" });
    const { revision } = await load();
    await disable(await load());
    expect(await load()).toMatchObject({ revision });
  });

  test("a 410 of the old URL does not disable it", async () => {
    const sentTo = await load();
    await change("url = 'https://new.example/hook'");
    await disable(sentTo);
    expect(await row()).toMatchObject({ status: "active" });
    await disable(await load());
    expect(await row()).toMatchObject({ status: "disabled" });
  });

  test("a 410 to a request from before it was enabled does not disable it again", async () => {
    const sentTo = await load();
    await disable(sentTo);
    await change("status = 'active', disabled_reason = null");
    await disable(sentTo);
    expect(await row()).toMatchObject({ status: "active" });
  });

  test("outcomes of the old URL are not its health, and outcomes do not change what it is", async () => {
    const before = await load();
    const health = createSubscriptionHealth(world.context.pool, log, world.settings, () => undefined);
    health.failed(before, "HTTP 503", false);
    await expect.poll(row).toMatchObject({ last_error: "HTTP 503" });
    expect(await load()).toMatchObject({ revision: before.revision });
    await change("url = 'https://new.example/hook', last_error = null, last_failure_at = null");
    health.succeeded({ ...before, hasFailedSince: true });
    health.failed(before, "HTTP 500", true);
    await health.close();
    expect(await row()).toMatchObject({ last_error: null, last_failure_at: null, last_success_at: null });
  });

  test("of two revisions of which both had outcomes, the current one's are written", async () => {
    const before = await load();
    await change("url = 'https://new.example/hook'");
    const health = createSubscriptionHealth(world.context.pool, log, world.settings, () => undefined);
    health.failed(before, "HTTP 500", false);
    health.succeeded(await load());
    await health.close();
    expect(await row()).toMatchObject({ last_error: null, last_success_at: expect.any(Date) as Date });
  });
});
