import fc from "fast-check";
import { Redis } from "ioredis";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { TestRedis } from "@postrider/testkit/servers/redis.ts";
import { repeatInLongRun } from "@postrider/testkit/long-run.ts";
import { claimTestRedis } from "@postrider/testkit/vitest.ts";
import { createBreakers } from "@postrider/shared/breaker/breakers.ts";
import { CLOSED_BREAKER, reduceBreaker, type Breaker, type BreakerEvent } from "@postrider/shared/core/breaker.ts";

let claimed: TestRedis;
let redis: Redis;
beforeAll(async () => {
  claimed = await claimTestRedis();
  redis = new Redis(claimed.url);
});
afterAll(async () => {
  redis.disconnect();
  await claimed.release();
});

const SUBSCRIPTIONS = ["a", "b", "c"];
const policy = { threshold: 3, cooldownMs: 1_000 };

/** After `passes` milliseconds, an event `behind` generations old, of a request that began `agoMs` before. */
const steps = fc.array(
  fc.record({
    subscription: fc.constantFrom(...SUBSCRIPTIONS),
    passes: fc.oneof({ weight: 1, arbitrary: fc.constant(0) }, fc.integer({ min: 1, max: 1_500 })),
    behind: fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, fc.integer({ min: -1, max: 3 })),
    agoMs: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 3_000 })),
    isLost: fc.oneof({ weight: 60, arbitrary: fc.constant(false) }, fc.constant(true)),
    event: fc.oneof(
      { weight: 8, arbitrary: fc.record({ kind: fc.constant("failure" as const), isProbe: fc.boolean(), retryAfterMs: fc.constantFrom(0, 500, 2_500) }) }, // prettier-ignore
      { weight: 2, arbitrary: fc.record({ kind: fc.constant("success" as const) }) },
      { weight: 4, arbitrary: fc.record({ kind: fc.constant("probe" as const), leaseMs: fc.constantFrom(200, 800) }) },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant("reset" as const) }) },
    ),
  }),
  { minLength: 60, maxLength: 120 },
);

const plain = ({ state, failures, generation, until, failedAt }: Breaker): Breaker => ({
  state,
  failures,
  generation,
  until,
  failedAt,
});

test("the Lua script agrees with the reducer for any sequence of events", async () => {
  const reached = new Set<string>();
  const property = fc.asyncProperty(steps, fc.boolean(), async (sequence, asBurst) => {
    await redis.flushdb();
    let now = 1_700_000_000_000;
    const breakers = createBreakers(redis, policy, () => now);
    const model = new Map(SUBSCRIPTIONS.map((id) => [id, CLOSED_BREAKER]));
    const comparisons: Promise<unknown>[] = [];
    for (const { subscription, passes, behind, agoMs, isLost, event: shape } of sequence) {
      // A burst goes to the script in one call, and time stands still in it.
      if (!asBurst) now += passes;
      if (isLost && !asBurst) {
        await redis.flushdb();
        for (const id of SUBSCRIPTIONS) model.set(id, CLOSED_BREAKER);
      }
      const before = model.get(subscription)!;
      const event = { ...shape, generation: before.generation - behind, agoMs } as BreakerEvent;
      const expected = reduceBreaker(before, event, now, policy);
      model.set(subscription, expected);
      reached.add(`${before.state} ${event.kind} ${expected.state}`);
      if (event.kind === "success" && behind === 1) reached.add(`${before.state} late success ${expected.state}`);
      const applying = breakers.apply(subscription, event);
      comparisons.push(
        applying.then((actual) => {
          expect(plain(actual)).toEqual(plain(expected));
          expect(actual.changed).toBe(expected.generation !== before.generation);
        }),
      );
      if (!asBurst) await applying;
    }
    await Promise.all(comparisons);
    const states = [...model.values()].map(({ state }) => state);
    expect((await breakers.read(SUBSCRIPTIONS)).map(plain)).toEqual([...model.values()].map(plain));
    expect(await breakers.count(now)).toEqual({
      open: states.filter((state) => state === "open").length,
      half_open: states.filter((state) => state === "half_open").length,
    });
  });
  await repeatInLongRun(0.1, () => fc.assert(property, { numRuns: 300 }));
  // The sequences must reach every transition, or the comparison shows little.
  for (const transition of [
    "closed failure open",
    "open probe half_open",
    "open success closed",
    "open late success closed",
    "open late success open",
    "open reset closed",
    "half_open probe half_open",
    "half_open success closed",
    "half_open failure open",
    "half_open failure half_open",
    "half_open reset closed",
  ]) {
    expect(reached).toContain(transition);
  }
});

test("of many workers that request a probe at once exactly one is granted it", async () => {
  let now = 1_700_000_000_000;
  const fleet = await Promise.all(
    Array.from({ length: 8 }, async () => {
      const own = new Redis(claimed.url);
      return { own, breakers: createBreakers(own, policy, () => now) };
    }),
  );
  const requestProbes = async () => {
    const results = await Promise.all(
      fleet.flatMap(({ breakers }) =>
        Array.from({ length: 5 }, () => breakers.apply("shared", { kind: "probe", leaseMs: 800 })),
      ),
    );
    return results.filter(({ changed }) => changed).length;
  };
  for (let failed = 0; failed < policy.threshold; failed += 1) {
    const { breakers } = fleet[failed]!;
    await breakers.apply("shared", { kind: "failure", generation: 0, agoMs: 0, isProbe: false, retryAfterMs: 0 });
  }
  expect(await requestProbes()).toBe(0);
  now += policy.cooldownMs;
  expect(await requestProbes()).toBe(1);
  now += 800;
  expect(await requestProbes()).toBe(1);
  for (const { own } of fleet) own.disconnect();
});

test("a subscription that never failed leaves nothing in Redis", async () => {
  await redis.flushdb();
  const breakers = createBreakers(redis, policy);
  await breakers.read(["healthy"]);
  await breakers.apply("healthy", { kind: "success", generation: 0, agoMs: 0 });
  expect(await redis.dbsize()).toBe(0);
});
