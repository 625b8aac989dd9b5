import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createLogger } from "@postrider/shared/runtime/telemetry/logger.ts";
import { createTestWorld } from "@postrider/testkit/vitest.ts";
import type { World } from "@postrider/testkit/world/world.ts";
import type { Subscription } from "../../apps/worker/src/delivery.ts";
import { createSubscriptionHealth } from "../../apps/worker/src/record/subscription-health.ts";

interface Row {
  last_success_at: Date | null;
  last_failure_at: Date | null;
  last_error: string | null;
  failing_since: Date | null;
  status: string;
  disabled_reason: string | null;
  /** The transaction that wrote the row. */
  xmin: string;
}

let world: World;
let id: string;
let revision: string;
let logged: string;
beforeAll(async () => {
  world = await createTestWorld({ DISABLE_AFTER: "1h", BREAKER_COOLDOWN: "1m" });
});
afterAll(() => world.close());
beforeEach(async () => {
  await world.context.pool.query("truncate subscriptions, subscription_patterns");
  id = await world.subscribe();
  ({ revision } = await load());
  logged = "";
});

const log = createLogger("test", "warn", { write: (text) => void (logged += text) });
/** A worker's view of its subscriptions' health. Closing it writes everything that is pending. */
const newWorker = () => createSubscriptionHealth(world.context.pool, log, world.settings, () => undefined);
/** What one worker writes, from its start to its end. */
async function inWorker(work: (health: ReturnType<typeof newWorker>) => void): Promise<Row> {
  const health = newWorker();
  work(health);
  await health.close();
  return row();
}
async function rows(): Promise<Row[]> {
  const columns = "last_success_at, last_failure_at, last_error, failing_since, status, disabled_reason, xmin";
  return (await world.context.pool.query<Row>(`select ${columns} from subscriptions order by id`)).rows;
}
const row = async () => (await rows())[0]!;
const load = async (one = id): Promise<Subscription> =>
  (await world.context.loadSubscribers([one], Date.now())).get(one)!.subscription as Subscription;
/** Moves everything on the rows into the past, as if nothing had happened since. */
const age = (interval: string) =>
  world.context.pool.query(
    `update subscriptions set last_success_at = last_success_at - $1::interval,
       last_failure_at = last_failure_at - $1::interval, failing_since = failing_since - $1::interval`,
    [interval],
  );

describe("the last success and the last failure of a subscription", () => {
  test("a worker writes them when it stops", async () => {
    const loaded = await load();
    const written = await inWorker((health) => {
      health.failed({ id, revision }, "HTTP 503", false);
      health.succeeded(loaded);
    });
    expect(written).toMatchObject({ last_error: "HTTP 503", failing_since: null, status: "active" });
    expect(Number(written.last_success_at)).toBeGreaterThanOrEqual(Number(written.last_failure_at));
  });

  test("they are written within seconds, without another outcome", async () => {
    const health = newWorker();
    health.failed({ id, revision }, "HTTP 500", false);
    await expect.poll(async () => (await row()).last_error).toBe("HTTP 500");
    health.succeeded(await load());
    await expect.poll(async () => (await row()).last_success_at).not.toBeNull();
    await health.close();
  });

  test("the successes of a healthy subscription write nothing, also in a worker that has just started", async () => {
    const first = await load();
    const written = await inWorker((health) => health.succeeded(first));
    const loaded = await load();
    expect(loaded.lastSuccessAt).toBeLessThanOrEqual(performance.now());
    expect(await inWorker((health) => health.succeeded(loaded))).toEqual(written);
  });

  test("a success is written again after ten minutes", async () => {
    const first = await load();
    const written = await inWorker((health) => health.succeeded(first));
    await age("11 minutes");
    const loaded = await load();
    const later = await inWorker((health) => health.succeeded(loaded));
    expect(Number(later.last_success_at)).toBeGreaterThanOrEqual(Number(written.last_success_at));
  });

  test("a worker that has just started writes the first success after a failure that another one recorded", async () => {
    const first = await load();
    await inWorker((health) => health.succeeded(first));
    await age("1 minute");
    const failed = await inWorker((health) => health.failed({ id, revision }, "HTTP 500", false));
    const loaded = await load();
    expect(loaded.hasFailedSince).toBe(true);
    const recovered = await inWorker((health) => health.succeeded(loaded));
    expect(Number(recovered.last_success_at)).toBeGreaterThan(Number(failed.last_failure_at));
    expect((await load()).hasFailedSince).toBe(false);
  });

  test("the outcomes of many subscriptions are written by one statement", async () => {
    const others = await Promise.all(Array.from({ length: 299 }, () => world.subscribe()));
    const loaded = await Promise.all(others.map((other) => load(other)));
    await inWorker((health) => {
      health.failed({ id, revision }, "HTTP 500", false);
      for (const one of loaded) health.succeeded(one);
    });
    const written = await rows();
    expect(written.filter((one) => one.last_success_at ?? one.last_failure_at)).toHaveLength(300);
    expect(new Set(written.map(({ xmin }) => xmin)).size).toBe(1);
  });

  test("a long error is cut, and one with a null character is written without it", async () => {
    const { last_error } = await inWorker((health) => health.failed({ id, revision }, `\0${"x".repeat(600)}`, false));
    expect(last_error).toBe("x".repeat(500));
  });

  test("outcomes of a time in which Postgres took no writes are written when it does again", async () => {
    const health = newWorker();
    const loaded = await load();
    await makeReadOnly(true);
    health.failed({ id, revision }, "HTTP 503", false);
    await expect.poll(() => logged).toContain("could not record");
    health.succeeded(loaded);
    await makeReadOnly(false);
    await expect.poll(async () => (await row()).last_success_at).not.toBeNull();
    expect(await row()).toMatchObject({ last_error: "HTTP 503", last_failure_at: expect.any(Date) as Date });
    await health.close();
  });
});

describe("the outage of a subscription", () => {
  const opens = () => inWorker((health) => health.opened(id));

  test("it starts when the breaker opens first, goes on when it opens again, and ends with a success", async () => {
    const first = await opens();
    expect(first.failing_since).not.toBeNull();
    expect((await opens()).failing_since).toEqual(first.failing_since);
    const loaded = await load();
    expect(loaded.isFailing).toBe(true);
    expect(await inWorker((health) => health.succeeded(loaded))).toMatchObject({ failing_since: null });
  });

  test("a subscription that fails for DISABLE_AFTER is disabled", async () => {
    await opens();
    for (let minutes = 0; minutes < 60; minutes += 12) {
      await age("12 minutes");
      expect(await inWorker((health) => health.failed({ id, revision }, "HTTP 500", true))).toMatchObject({
        status: "active",
      });
    }
    expect(await opens()).toMatchObject({ status: "disabled", disabled_reason: "failing" });
    expect(logged).toContain("disabled the subscription");
  });

  test("a subscription that failed, was silent for DISABLE_AFTER and fails once more stays active", async () => {
    await inWorker((health) => {
      for (let times = 0; times < 5; times += 1) health.failed({ id, revision }, "HTTP 500", false);
      health.opened(id);
    });
    await age("61 minutes");
    const { failing_since, status } = await inWorker((health) => {
      health.failed({ id, revision }, "HTTP 500", true);
      health.opened(id);
    });
    expect(status).toBe("active");
    expect(Date.now() - Number(failing_since)).toBeLessThan(60_000);
  });

  test("a failure that does not open the breaker also ends a silence, so that the next opening does not disable", async () => {
    await opens();
    await age("61 minutes");
    await inWorker((health) => health.failed({ id, revision }, "HTTP 500", false));
    expect(await opens()).toMatchObject({ status: "active" });
  });

  test("a failure after a long silence starts no outage where there was none", async () => {
    await inWorker((health) => health.failed({ id, revision }, "HTTP 500", false));
    await age("61 minutes");
    expect(await inWorker((health) => health.failed({ id, revision }, "HTTP 500", false))).toMatchObject({
      failing_since: null,
    });
  });

  test("a subscription that is paused is not disabled", async () => {
    await opens();
    await age("14 minutes");
    await world.context.pool.query("update subscriptions set status = 'paused', failing_since = now() - interval '2h'");
    expect(await opens()).toMatchObject({ status: "paused" });
  });
});

/** Ends all other connections, so that new ones get the setting. */
async function makeReadOnly(isReadOnly: boolean): Promise<void> {
  const client = await world.context.pool.connect();
  try {
    await client.query("set default_transaction_read_only = off");
    const { rows: found } = await client.query<{ name: string }>("select quote_ident(current_database()) as name");
    await client.query(`alter database ${found[0]!.name} set default_transaction_read_only = ${isReadOnly ? "on" : "off"}`); // prettier-ignore
    await client.query(
      "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()",
    );
  } finally {
    client.release(true);
  }
}
