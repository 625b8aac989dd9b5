import fc from "fast-check";
import { Redis } from "ioredis";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { takeTokens } from "@postrider/shared/core/rate-limit.ts";
import type { TestRedis } from "@postrider/testkit/servers/redis.ts";
import { KEY_PREFIX } from "@postrider/shared/queue/keys.ts";
import { claimTestRedis } from "@postrider/testkit/vitest.ts";
import { createRateLimit } from "../../apps/worker/src/isolation/rate-limit.ts";

const SECOND = 1_000_000;
const RATE = 50;
const BURST = 5;

let claimed: TestRedis;
let redis: Redis;
let now = 1_700_000_000 * SECOND;
beforeAll(async () => {
  claimed = await claimTestRedis();
  redis = new Redis(claimed.url);
});
beforeEach(() => redis.flushdb());
afterAll(async () => {
  redis.disconnect();
  await claimed.release();
});

test("a rate limit of 50 grants a burst of five after a pause, and then one every 20 ms", async () => {
  const take = createRateLimit(redis, () => now);
  expect(await take("a", RATE, BURST, 100)).toEqual({ granted: BURST, retryInMs: 20 });
  expect(await take("a", RATE, BURST, 1)).toEqual({ granted: 0, retryInMs: 20 });
  now += 0.019 * SECOND;
  expect(await take("a", RATE, BURST, 1)).toEqual({ granted: 0, retryInMs: 1 });
  now += 0.001 * SECOND;
  expect(await take("a", RATE, BURST, 10)).toEqual({ granted: 1, retryInMs: 20 });
  now += SECOND;
  expect(await take("a", RATE, BURST, 3)).toEqual({ granted: 3, retryInMs: 0 });
  expect(await take("another", RATE, BURST, 10)).toMatchObject({ granted: BURST });
});

test("no second exceeds the rate plus the burst, and constant demand gets the full rate", async () => {
  const asking = fc.array(
    fc.record({ afterUs: fc.integer({ min: 0, max: 60_000 }), wanted: fc.integer({ min: 1, max: 20 }) }),
    { minLength: 50, maxLength: 150 },
  );
  await fc.assert(
    fc.asyncProperty(asking, fc.boolean(), async (asks, isGreedy) => {
      await redis.flushdb();
      const workers = [createRateLimit(redis, () => now), createRateLimit(redis, () => now)];
      const grantedAt: number[] = [];
      const startedAt = now;
      for (const [index, { afterUs, wanted }] of asks.entries()) {
        now += afterUs;
        const { granted } = await workers[index % 2]!("a", RATE, BURST, isGreedy ? 20 : wanted);
        for (let count = 0; count < granted; count += 1) grantedAt.push(now);
      }
      for (const from of grantedAt) {
        const within = grantedAt.filter((at) => at >= from && at < from + SECOND).length;
        expect(within).toBeLessThanOrEqual(RATE + BURST);
      }
      // No gap between two asks is so long that the burst could not bridge it.
      if (isGreedy) expect(grantedAt.length).toBeGreaterThanOrEqual(Math.floor(((now - startedAt) / SECOND) * RATE));
      now += 10 * SECOND;
    }),
    { numRuns: 50 },
  );
});

test("the script grants what its specification grants, whatever is asked for and when", async () => {
  const asks = fc.array(
    fc.record({ afterMs: fc.integer({ min: 0, max: 60 }), wanted: fc.integer({ min: 1, max: 20 }) }),
    { minLength: 1, maxLength: 60 },
  );
  await fc.assert(
    // Rates whose interval is a whole number of microseconds, as Redis keeps it.
    fc.asyncProperty(asks, fc.constantFrom(1, 8, 50, 125), fc.integer({ min: 1, max: 8 }), async (all, rate, burst) => {
      await redis.flushdb();
      let nowMs = 1_000;
      let fullAt = 0;
      const take = createRateLimit(redis, () => nowMs * 1_000);
      for (const { afterMs, wanted } of all) {
        nowMs += afterMs;
        const specified = takeTokens(fullAt, { rate, burst, wanted }, nowMs);
        fullAt = specified.fullAt;
        const retryInMs = Math.max(0, specified.nextAt - nowMs);
        expect(await take("a", rate, burst, wanted)).toEqual({ granted: specified.granted, retryInMs });
      }
    }),
    { numRuns: 50 },
  );
});

test("while Redis is down the rate limit grants nothing and does not throw", async () => {
  const away = new Redis({ port: 1, lazyConnect: true, enableOfflineQueue: false, retryStrategy: null });
  away.on("error", () => undefined);
  expect(await createRateLimit(away)("a", RATE, BURST, 1)).toEqual({ granted: 0, retryInMs: 100 });
  away.disconnect();
});

test("a rate limit's key expires a minute after its last token is earned back, and a stale key grants a full burst", async () => {
  const take = createRateLimit(redis, () => now);
  await take("a", RATE, BURST, BURST);
  const [key] = await redis.keys(`${KEY_PREFIX}:*`);
  const earnedBackMs = (BURST * 1_000) / RATE;
  const ttlMs = await redis.pttl(key!);
  expect(ttlMs).toBeGreaterThan(30_000);
  expect(ttlMs).toBeLessThanOrEqual(60_000 + earnedBackMs);
  now += (earnedBackMs / 1_000) * SECOND;
  expect(await redis.exists(key!)).toBe(1);
  expect(await take("a", RATE, BURST, 100)).toMatchObject({ granted: BURST });
});
