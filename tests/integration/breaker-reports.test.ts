import { once } from "node:events";
import { setImmediate } from "node:timers/promises";
import { afterAll, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { createBreakers } from "@postrider/shared/breaker/breakers.ts";
import { newId } from "@postrider/shared/runtime/new-id.ts";
import { createTestWorld } from "@postrider/testkit/vitest.ts";
import type { World } from "@postrider/testkit/world/world.ts";
import type { Subscription } from "../../apps/worker/src/delivery.ts";
import {
  createBreakerReports,
  type BreakerReports,
  type Report,
} from "../../apps/worker/src/isolation/breaker-reports.ts";

const POLICY = { threshold: 3, recentSuccessMs: 5_000, cooldownMs: 3_600_000 };

let world: World;
/** Another worker. */
let elsewhere: BreakerReports;
let subscription: string;
beforeAll(async () => {
  world = await createTestWorld({
    BREAKER_THRESHOLD: String(POLICY.threshold),
    BREAKER_RECENT_SUCCESS: "5s",
    BREAKER_COOLDOWN: "1h",
  });
  elsewhere = createBreakerReports(createBreakers(world.context.redis, POLICY), () => undefined);
});
afterAll(async () => {
  elsewhere.close();
  await world.close();
});
beforeEach(() => {
  subscription = newId();
});

const attempt = (over: Partial<Report> = {}): Report => ({
  subscriptionId: subscription,
  deliveryId: newId(),
  trigger: "auto",
  sentAt: performance.now(),
  outcome: { kind: "retryable", retryAfterMs: undefined },
  lastSuccessAt: null,
  responseStatus: 500,
  isWaiting: false,
  ...over,
});
const fail = (reports: BreakerReports, over: Partial<Report> = {}) => reports.report(attempt(over));
const succeed = (reports: BreakerReports, over: Partial<Report> = {}) =>
  reports.report(attempt({ outcome: { kind: "delivered" }, responseStatus: 200, ...over }));
const open = async (reports: BreakerReports) => {
  for (let failed = 0; failed < POLICY.threshold; failed += 1) await fail(reports);
};
const read = async (reports: BreakerReports) =>
  (await reports.read([{ id: subscription, isFailing: true }])).get(subscription)!;

test("the successes of a healthy subscription cost Redis nothing, and its breaker is not read", async () => {
  const { breakerReports, redis } = world.context;
  await succeed(breakerReports);
  expect(await redis.keys(`*${subscription}*`)).toEqual([]);
  expect(await breakerReports.read([{ id: subscription, isFailing: false }])).toEqual(new Map());
});

test("a failure that one worker reports is learned by the others, which then report their successes", async () => {
  const { breakerReports } = world.context;
  await fail(breakerReports);
  expect((await read(breakerReports)).failures).toBe(1);
  await expect
    .poll(async () => {
      await succeed(elsewhere);
      return (await read(breakerReports)).failures;
    })
    .toBe(0);
});

test("a success that another worker saw before it learned of the failures ends their row without further traffic", async () => {
  const { breakerReports } = world.context;
  await fail(breakerReports);
  await fail(breakerReports);
  await succeed(elsewhere);
  await expect.poll(async () => (await read(breakerReports)).failures, { timeout: 5_000 }).toBe(0);
  // What fails after that success counts from one again, also where its worker saw a success of its own long before.
  await fail(breakerReports);
  expect((await read(breakerReports)).failures).toBe(1);
});

test("a worker that has just seen a success keeps the breaker closed, though it never reported it", async () => {
  const { breakerReports } = world.context;
  await succeed(elsewhere);
  await fail(elsewhere);
  await open(breakerReports);
  expect(await read(breakerReports)).toMatchObject({ state: "closed" });
  subscription = newId();
  await open(breakerReports);
  expect(await read(breakerReports)).toMatchObject({ state: "open" });
});

test("a delivery that was loaded before the breaker opened is not sent by a worker that has seen it open", async () => {
  const { breakerReports } = world.context;
  await open(elsewhere);
  expect(breakerReports.isNotClosed(subscription)).toBe(false);
  await read(breakerReports);
  expect(breakerReports.isNotClosed(subscription)).toBe(true);
  expect([...breakerReports.recentlyOpened()]).toContain(subscription);
});

test("at most 300 subscriptions with an open breaker are named to each batch: the last read ones", async () => {
  const { redis } = world.context;
  const reports = createBreakerReports(createBreakers(redis, { ...POLICY, threshold: 1 }), () => undefined);
  const ids = Array.from({ length: 1_000 }, () => newId());
  await Promise.all(ids.map((subscriptionId) => fail(reports, { subscriptionId })));
  await reports.read(ids.map((id) => ({ id, isFailing: true })));
  expect(reports.notClosed()).toEqual(ids.slice(-300));
  reports.close();
});

test("one probe is granted, and a request that was sent before its success does not count", async () => {
  const { breakerReports, redis } = world.context;
  const sentAt = performance.now();
  const brief = createBreakerReports(createBreakers(redis, { ...POLICY, cooldownMs: 0 }), () => undefined);
  await open(brief);
  expect(await brief.acquireProbe(subscription, 60_000)).toBe(true);
  expect(await breakerReports.acquireProbe(subscription, 60_000)).toBe(false);
  await succeed(brief, { trigger: "probe" });
  await fail(brief, { sentAt });
  expect(await read(brief)).toMatchObject({ state: "closed", failures: 0 });
  brief.close();
});

test("requests to the old URL that fail after a reset leave the breaker closed, though it was closed and well before", async () => {
  const { breakerReports, redis } = world.context;
  const breakers = createBreakers(redis, POLICY);
  const sentAt = performance.now();
  await breakers.apply(subscription, { kind: "reset" });
  expect(await breakers.watched()).not.toContain(subscription);
  for (let failed = 0; failed < POLICY.threshold; failed += 1) await fail(breakerReports, { sentAt: sentAt - 100 });
  expect(await read(breakerReports)).toMatchObject({ state: "closed", failures: 0 });
  await fail(breakerReports);
  expect(await breakers.watched()).toContain(subscription);
  await breakers.apply(subscription, { kind: "reset" });
  expect(await breakers.watched()).not.toContain(subscription);
});

test("a subscription is watched while it has a pace, for ten minutes without an answer, and then no longer paced", async () => {
  let now = Date.now();
  const breakers = createBreakers(world.context.redis, POLICY, () => now);
  const failure = { kind: "failure", sentAgoMs: 0, isProbe: false, countsForPace: true, isWaiting: true, lastSuccessAgoMs: 100, refused: undefined, retryAfterMs: 0 } as const; // prettier-ignore
  for (let failed = 0; failed < 80; failed += 1, now += 100) await breakers.apply(subscription, failure);
  const reached = async () => [(await breakers.read([subscription]))[0]!.pace, await breakers.watched()] as const;
  now += 9 * 60_000;
  expect(await reached()).toEqual([2, expect.arrayContaining([subscription])]);
  now += 61_000;
  expect(await reached()).toEqual([0, expect.not.arrayContaining([subscription])]);
});

test("a busy subscription costs Redis nothing again once it has not failed for a minute", async () => {
  let now = Date.now();
  const reports = createBreakerReports(
    createBreakers(world.context.redis, POLICY, () => now),
    () => undefined,
  );
  await fail(reports);
  now += 61_000;
  await expect
    .poll(
      async () => {
        await succeed(reports);
        return reports.read([{ id: subscription, isFailing: false }]);
      },
      { timeout: 10_000 },
    )
    .toEqual(new Map());
  reports.close();
});

test("a failure that comes while a late success waits for the script still counts", async () => {
  const { breakerReports, redis } = world.context;
  const slow = redis.duplicate({ commandTimeout: 30_000 });
  await once(slow, "ready");
  const breakers = createBreakers(slow, POLICY);
  // Occupies the connection, so that the success waits for the reading.
  void slow.blpop("none", 2);
  const reading = breakers.read([subscription]);
  await setImmediate();
  const late = breakers.apply(subscription, { kind: "success", sentAgoMs: 0.4, agoMs: 0.4, successes: 0, isWaiting: false }); // prettier-ignore
  await redis.blpop("none", 0.5);
  await fail(breakerReports);
  await Promise.all([reading, late]);
  expect((await read(breakerReports)).failures).toBe(1);
  slow.disconnect();
});

test("a payload that is refused again and again counts once", async () => {
  const { breakerReports } = world.context;
  const deliveryId = newId();
  for (let times = 0; times < 5; times += 1) await fail(breakerReports, { deliveryId, responseStatus: 422 });
  expect(await read(breakerReports)).toMatchObject({ state: "closed", failures: 1 });
});

test("a success that closes the breaker ends the outage of its subscription", async () => {
  subscription = await world.subscribe();
  const { breakerReports, pool } = world.context;
  const failingSince = async () => {
    const { rows } = await pool.query<{ failing_since: Date | null }>(
      "select failing_since from subscriptions where id = $1",
      [subscription],
    );
    return rows[0]!.failing_since;
  };
  await open(breakerReports);
  await expect.poll(failingSince).not.toBeNull();
  await succeed(breakerReports, { trigger: "manual" });
  await expect.poll(failingSince).toBeNull();
});

test("a worker whose clock is behind Postgres's opens the breaker of a receiver that last succeeded long ago", async () => {
  subscription = await world.subscribe();
  const { breakerReports, loadSubscribers, pool } = world.context;
  await pool.query("update subscriptions set last_success_at = now() - interval '20 s' where id = $1", [subscription]);
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() - 50_000 });
  try {
    const loaded = (await loadSubscribers([subscription], Date.now())).get(subscription)!.subscription;
    const { lastSuccessAt } = loaded as Subscription;
    for (let failed = 0; failed < POLICY.threshold; failed += 1) await fail(breakerReports, { lastSuccessAt });
    expect(await read(breakerReports)).toMatchObject({ state: "open" });
  } finally {
    vi.useRealTimers();
  }
});

test("a worker that has seen no success takes the row's: a recent one keeps the breaker closed, an old one does not", async () => {
  const reports = createBreakerReports(createBreakers(world.context.redis, POLICY), () => undefined);
  try {
    for (const [agoMs, state] of [
      [POLICY.recentSuccessMs / 2, "closed"],
      [POLICY.recentSuccessMs * 2, "open"],
    ] as const) {
      subscription = newId();
      const lastSuccessAt = performance.now() - agoMs;
      for (let failed = 0; failed < POLICY.threshold; failed += 1) await fail(reports, { lastSuccessAt });
      expect(await read(reports)).toMatchObject({ state });
    }
  } finally {
    reports.close();
  }
});
