import fc from "fast-check";
import { Redis } from "ioredis";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createBreakers, type SharedBreaker } from "@postrider/shared/breaker/breakers.ts";
import {
  reduceHealth,
  UNKNOWN_HEALTH,
  watchedUntil,
  type Health,
  type HealthEvent,
} from "@postrider/shared/core/health.ts";
import { currentRate } from "@postrider/shared/core/pace.ts";
import type { TestRedis } from "@postrider/testkit/servers/redis.ts";
import { claimTestRedis } from "@postrider/testkit/vitest.ts";

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

const SUBSCRIPTIONS = ["a", "b"];
const policy = { threshold: 3, recentSuccessMs: 2_000, cooldownMs: 1_000 };

const age = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 3_000 }));
const event: fc.Arbitrary<HealthEvent> = fc.oneof(
  { weight: 12, arbitrary: fc.record({ kind: fc.constant("failure" as const), sentAgoMs: age, isProbe: fc.boolean(), countsForPace: fc.boolean(), isWaiting: fc.boolean(), lastSuccessAgoMs: fc.option(fc.integer({ min: 0, max: 6_000 }), { nil: undefined }), refused: fc.option(fc.constantFrom("d1", "d2", "d3", "d4"), { nil: undefined }), retryAfterMs: fc.constantFrom(0, 0, 500, 2_500) }) }, // prettier-ignore
  { weight: 6, arbitrary: fc.record({ kind: fc.constant("success" as const), sentAgoMs: age, agoMs: age, successes: fc.integer({ min: 0, max: 12 }), isWaiting: fc.boolean() }) }, // prettier-ignore
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("probe" as const), leaseMs: fc.constantFrom(200, 800) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("reset" as const) }) },
);
const steps = fc.array(
  fc.record({
    subscription: fc.constantFrom(...SUBSCRIPTIONS),
    passes: fc.oneof({ weight: 2, arbitrary: fc.constant(0) }, { weight: 6, arbitrary: fc.integer({ min: 1, max: 1_500 }) }, { weight: 1, arbitrary: fc.integer({ min: 20_000, max: 90_000 }) }), // prettier-ignore
    isLost: fc.oneof({ weight: 60, arbitrary: fc.constant(false) }, fc.constant(true)),
    // Many at once make an interval of the pace.
    times: fc.oneof({ weight: 4, arbitrary: fc.constant(1) }, fc.integer({ min: 2, max: 15 })),
    event,
  }),
  { minLength: 80, maxLength: 160 },
);

/** Where all fail, no other worker has seen a success either: the breaker opens, and ends a pace. */
const loadEvent = (isFailure: boolean, share: number, isWaiting: boolean): HealthEvent =>
  isFailure
    ? { kind: "failure", sentAgoMs: 0, isProbe: false, countsForPace: true, isWaiting, lastSuccessAgoMs: share === 1 ? undefined : 100, refused: undefined, retryAfterMs: 0 } // prettier-ignore
    : { kind: "success", sentAgoMs: 0, agoMs: 0, successes: 5, isWaiting };
/** Steady loads: phases in which a share of the answers fails, so that the pace starts, adapts and ends. */
const loads = fc
  .array(
    fc.record({
      share: fc.constantFrom(0, 0.05, 0.3, 0.5, 0.9, 0.95, 1),
      steps: fc.integer({ min: 20, max: 150 }),
      // In an interval, at its end, or longer than one.
      pauseMs: fc.constantFrom(0, 0, 0, 31_000, 61_000, 300_000, 610_000),
      passes: fc.constantFrom(40, 150, 400),
      isWaiting: fc.boolean(),
    }),
    { minLength: 3, maxLength: 6 },
  ) // prettier-ignore
  .chain((phases) =>
    fc.tuple(
      ...phases.map(({ share, steps: count, pauseMs, passes, isWaiting }) =>
        fc
          .array(fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }), { minLength: count, maxLength: count })
          .map((chances) =>
            chances.map((chance, index) => ({
              subscription: "a",
              passes: index === 0 ? passes + pauseMs : passes,
              isLost: false,
              times: 1,
              event: loadEvent(chance < share, share, isWaiting),
            })),
          ),
      ),
    ),
  )
  .map((phases) => phases.flat());

const shown = ({ breaker, pace }: Health, now: number) => ({
  state: breaker.state,
  failures: breaker.failures,
  until: breaker.until,
  restUntil: breaker.restUntil,
  pace: currentRate(pace, now),
});
const plain = ({ state, failures, until, restUntil, pace }: SharedBreaker) => ({
  state,
  failures,
  until,
  restUntil,
  pace,
});

test("the script does to the fleet's breakers and paces what the reducer does, whatever happens in whatever order", async () => {
  const reached = new Set<string>();
  await fc.assert(
    fc.asyncProperty(fc.oneof(steps, loads), fc.boolean(), async (sequence, isBurst) => {
      await redis.flushdb();
      let now = 1_700_000_000_000;
      const breakers = createBreakers(redis, policy, () => now);
      const model = new Map(SUBSCRIPTIONS.map((id) => [id, UNKNOWN_HEALTH]));
      const answers: Promise<unknown>[] = [];
      for (const { subscription, passes, isLost, times, event: happened } of sequence) {
        // A burst goes to the script in one call, in which time stands still.
        if (!isBurst) now += passes;
        if (isLost && !isBurst) {
          await redis.flushdb();
          for (const id of SUBSCRIPTIONS) model.set(id, UNKNOWN_HEALTH);
        }
        for (let count = 0; count < times; count += 1) {
          const before = model.get(subscription)!;
          const after = reduceHealth(before, happened, now, policy);
          model.set(subscription, after);
          reached.add(`${before.breaker.state} ${happened.kind} ${after.breaker.state}`);
          if (before.pace.rate === 0 && after.pace.rate > 0) reached.add("pace starts");
          if (before.pace.rate > 0 && after.pace.rate > before.pace.rate) reached.add("pace grows");
          if (before.pace.rate > 0 && after.pace.rate === 0) reached.add(`pace ends, ${after.breaker.state}`);
          if (before.pace.immuneUntil === 0 && after.pace.immuneUntil > 0) reached.add("immune");
          const answer = breakers.apply(subscription, happened);
          const expected = shown(after, now);
          answers.push(answer.then((actual) => expect(plain(actual)).toEqual(expected)));
        }
        if (!isBurst) await Promise.all(answers.splice(0));
      }
      await Promise.all(answers);
      const states = [...model.values()].map(({ breaker }) => breaker.state);
      expect((await breakers.read(SUBSCRIPTIONS)).map(plain)).toEqual(
        [...model.values()].map((health) => shown(health, now)),
      );
      const watched = SUBSCRIPTIONS.filter((id) => watchedUntil(model.get(id)!) > now);
      expect((await breakers.watched()).toSorted()).toEqual(watched);
      expect(await breakers.count(now)).toEqual({
        open: states.filter((state) => state === "open").length,
        half_open: states.filter((state) => state === "half_open").length,
      });
    }),
    { numRuns: 300 },
  );
  for (const transition of ["closed failure open", "open probe half_open", "half_open success closed", "half_open failure open", "half_open probe half_open", "open success closed", "open reset closed", "pace starts", "pace grows", "pace ends, closed", "pace ends, open", "immune"]) {
    expect([...reached], transition).toContain(transition);
  } // prettier-ignore
});
