import { describe, expect, test } from "vitest";
import type { Subscription } from "@postrider/testkit/client/types.ts";
import { freePort } from "@postrider/testkit/processes/ports.ts";
import { answer, gate, unavailableForLong } from "@postrider/testkit/receiver/behaviours.ts";
import { scrape, total } from "@postrider/testkit/stack/metrics.ts";
import { THRESHOLD } from "@postrider/testkit/stack/settings.ts";
import { newSubscriber, type Subscriber } from "@postrider/testkit/stack/subscriber.ts";
import { useStack } from "@postrider/testkit/vitest.ts";
import { waitFor } from "@postrider/testkit/wait.ts";

const cooldownMs = 1_000;
const onceADay = { retrySchedule: ["24h"] };

const health = ({ status, disabledReason, breaker, held, heldReasons, oldestHeldAt }: Subscription) => ({
  status,
  disabledReason,
  breaker,
  held,
  heldReasons,
  oldestHeldAt,
});
const healthy = {
  status: "active",
  disabledReason: null,
  breaker: { state: "closed", failures: 0, retryAt: null },
  held: 0,
  heldReasons: {},
  oldestHeldAt: null,
};

describe("the health of a subscription", () => {
  const e2e = useStack({ env: { BREAKER_COOLDOWN: `${cooldownMs}ms` } });

  async function inList(subscriber: Subscriber): Promise<Subscription | undefined> {
    return (await e2e.api.subscriptions({ tenant: subscriber.tenant })).data[0];
  }

  test.concurrent("a healthy subscription shows a closed breaker and nothing held", async () => {
    const subscriber = await newSubscriber(e2e);
    await subscriber.sendInTurn(1, "delivered");
    expect(health(await subscriber.look())).toEqual(healthy);
    expect(health((await inList(subscriber))!)).toEqual(healthy);
  });

  test.concurrent("a subscription shows consecutive failures while its breaker is closed, and none after a success", async () => {
    const subscriber = await newSubscriber(e2e, answer(500), onceADay);
    await subscriber.sendInTurn(2, "retrying");
    const failing = await subscriber.until("two are counted", ({ breaker }) => breaker.failures === 2);
    const expected = { ...healthy, breaker: { state: "closed", failures: 2, retryAt: null } };
    expect(health(failing)).toEqual(expected);
    expect(health((await inList(subscriber))!)).toEqual(expected);
    subscriber.endpoint.behave(answer(200));
    await subscriber.sendInTurn(1, "delivered");
    await subscriber.until("none is counted", ({ breaker }) => breaker.failures === 0);
  });

  test.concurrent("a subscription shows its last success, its last failure and why that failed", async () => {
    const subscriber = await newSubscriber(e2e, answer(200), onceADay);
    const { createdAt, ...fresh } = await subscriber.look();
    expect(fresh).toMatchObject({ lastSuccessAt: null, lastFailureAt: null, lastError: null, limit: null });
    await subscriber.sendInTurn(1, "delivered");
    const { lastSuccessAt } = await subscriber.until("it has succeeded", (now) => now.lastSuccessAt !== null);
    expect(Date.parse(lastSuccessAt ?? "")).toBeGreaterThanOrEqual(Date.parse(createdAt));
    subscriber.endpoint.behave(answer(503));
    await subscriber.sendInTurn(1, "retrying");
    const failed = await subscriber.until("it has failed", (now) => now.lastFailureAt !== null);
    expect(failed).toMatchObject({ lastSuccessAt, lastError: "HTTP 503" });
    expect((await inList(subscriber))?.lastFailureAt).toBe(failed.lastFailureAt);
    subscriber.endpoint.behave(answer(200));
    await subscriber.sendInTurn(1, "delivered");
    const recovered = await subscriber.until("it has succeeded again", (now) => now.lastSuccessAt !== lastSuccessAt);
    expect(Date.parse(recovered.lastSuccessAt ?? "")).toBeGreaterThan(Date.parse(failed.lastFailureAt ?? ""));
  });

  test.concurrent("a subscription shows the limit that blocks it, and none when nothing waits any more", async () => {
    const subscriber = await newSubscriber(e2e, answer(200), { rateLimit: 1 });
    const sent = await subscriber.send(100);
    const isByRate = ({ limit }: Subscription) => limit?.because === "rate_limit";
    const { limit } = await subscriber.until("its rate limit blocks it", isByRate);
    expect(limit).toEqual({ because: "rate_limit", max: expect.any(Number) as number, ratePerSecond: 1 });
    expect(limit?.max).toBeGreaterThanOrEqual(1);
    await e2e.api.changeSubscription(subscriber.id, { rateLimit: null });
    await subscriber.untilEvery(sent, "delivered");
    await subscriber.until("nothing blocks it", (now) => now.limit === null);
  });

  test.concurrent("a subscription shows its open breaker, the time of the next probe, and what it holds since when", async () => {
    const subscriber = await newSubscriber(e2e, unavailableForLong, onceADay);
    const tripped = Date.now();
    await subscriber.trip();
    const since = Date.now();
    await subscriber.backlog(3);
    const shown = await subscriber.look();
    expect(health(shown)).toEqual({
      ...healthy,
      breaker: { state: "open", failures: THRESHOLD, retryAt: expect.any(String) as string },
      held: 3,
      heldReasons: { breaker: 3 },
      oldestHeldAt: expect.any(String) as string,
    });
    const wait = Date.parse(shown.breaker.retryAt ?? "") - tripped;
    expect(wait).toBeGreaterThanOrEqual(3_000_000 - 1_000);
    expect(wait).toBeLessThanOrEqual(3_600_000);
    expect(Date.parse(shown.oldestHeldAt ?? "")).toBeGreaterThanOrEqual(since - 1);
    expect(Date.parse(shown.oldestHeldAt ?? "")).toBeLessThanOrEqual(Date.now() + 1);
    expect(health((await inList(subscriber))!)).toEqual(health(shown));

    const changed = await e2e.api.changeSubscription(subscriber.id, { description: "seen" });
    expect(health(changed)).toEqual(health(shown));
  });

  test.concurrent("a subscription shows a half-open breaker during a probe, and a closed one after its success", async () => {
    const subscriber = await newSubscriber(e2e, answer(500), { ...onceADay, timeoutMs: 30_000 });
    await subscriber.trip();
    const probe = gate();
    subscriber.endpoint.behave(probe);
    const backlog = await subscriber.backlog(3);
    const shown = await subscriber.until("it is half-open", ({ breaker }) => breaker.state === "half_open");
    expect(shown).toMatchObject({ held: 3, heldReasons: { breaker: 3 } });
    expect((await inList(subscriber))?.breaker.state).toBe("half_open");
    probe.open();
    await subscriber.untilEvery(backlog, "delivered");
    expect(health(await subscriber.look())).toEqual(healthy);
  });

  test.concurrent("a paused subscription shows what it holds, also in the response to the pause", async () => {
    const subscriber = await newSubscriber(e2e);
    await e2e.api.pause(subscriber.id);
    const since = Date.now();
    const backlog = await subscriber.backlog(2);
    const shown = health(await e2e.api.pause(subscriber.id));
    expect(shown).toMatchObject({ ...healthy, status: "paused", held: 2, heldReasons: { paused: 2 }, oldestHeldAt: expect.any(String) as string }); // prettier-ignore
    expect(Date.parse(shown.oldestHeldAt ?? "")).toBeGreaterThanOrEqual(since - 1);
    expect(health((await inList(subscriber))!)).toEqual(shown);
    await e2e.api.resume(subscriber.id);
    await subscriber.untilEvery(backlog, "delivered");
    expect(health(await subscriber.look())).toEqual(healthy);
  });

  test.concurrent("a disabled subscription shows what it holds and why it is disabled", async () => {
    const subscriber = await newSubscriber(e2e, answer(410));
    await subscriber.sendInTurn(1, "dead");
    await subscriber.until("it is disabled", ({ status }) => status === "disabled");
    await subscriber.backlog(2);
    const shown = await subscriber.look();
    expect(shown).toMatchObject({ status: "disabled", disabledReason: "gone", held: 2, heldReasons: { disabled: 2 } });
    expect(health((await inList(subscriber))!)).toEqual(health(shown));
  });

  test.concurrent("the counts per held reason of a subscription add up to its held deliveries", async () => {
    const subscriber = await newSubscriber(e2e, unavailableForLong, onceADay);
    await subscriber.trip();
    await subscriber.backlog(2);
    await e2e.api.pause(subscriber.id);
    await subscriber.backlog(3);
    const { held, heldReasons } = await subscriber.look();
    expect(held).toBe(5);
    expect(heldReasons["paused"]).toBeGreaterThanOrEqual(3);
    expect(Object.values(heldReasons).reduce((sum, count) => sum + count, 0)).toBe(5);
  });
});

describe("a worker's metrics", () => {
  const e2e = useStack({ env: { BREAKER_COOLDOWN: `${cooldownMs}ms` } });

  const until = (what: string, name: string, labels: Record<string, string>, predicate: (value: number) => boolean) =>
    waitFor(`${what}: ${name} ${JSON.stringify(labels)}`, async () => {
      const value = total(await scrape(e2e.stack.workers[0]!.adminUrl), name, labels);
      if (!predicate(value)) throw new Error(`it is ${value}`);
      return true;
    });

  test("a worker exports open breakers, held deliveries by reason, probes and releases", async () => {
    const shut = await newSubscriber(e2e, unavailableForLong, onceADay);
    const probed = await newSubscriber(e2e, answer(500), { ...onceADay, timeoutMs: 30_000 });
    const paused = await newSubscriber(e2e);
    await e2e.api.pause(paused.id);
    const ofPaused = await paused.backlog(2);
    await shut.trip();
    const ofShut = await shut.backlog(4);
    await until("one is open", "postrider_breakers", { state: "open" }, (value) => value === 1);
    await until("four wait for it", "postrider_held", { reason: "breaker" }, (value) => value === 4);
    await until("two are paused", "postrider_held", { reason: "paused" }, (value) => value === 2);

    await probed.trip();
    const ofProbed = await probed.backlog(3);
    await until("a probe failed", "postrider_probes_total", { result: "failure" }, (value) => value >= 1);
    const probe = gate();
    probed.endpoint.behave(probe);
    await until("one is half-open", "postrider_breakers", { state: "half_open" }, (value) => value === 1);
    probe.open();
    await probed.untilEvery(ofProbed, "delivered");
    await until("a probe succeeded", "postrider_probes_total", { result: "success" }, (value) => value === 1);
    await until("two were released", "postrider_released_total", {}, (value) => value === 2);

    shut.endpoint.behave(answer(200));
    await e2e.api.enable(shut.id);
    await e2e.api.resume(paused.id);
    await shut.untilEvery(ofShut, "delivered");
    await paused.untilEvery(ofPaused, "delivered");
    for (const state of ["open", "half_open"]) {
      await until("none is left", "postrider_breakers", { state }, (value) => value === 0);
    }
    await until("none is left", "postrider_held", {}, (value) => value === 0);
    await until("all were released", "postrider_released_total", {}, (value) => value === 8);

    for (const { name, labels } of await scrape(e2e.stack.workers[0]!.adminUrl)) {
      for (const value of Object.values(labels)) {
        expect(value, name).not.toMatch(/(sub|dlv|evt|att)_[0-9a-hjkmnp-tv-z]{26}|t-[0-9a-f]{8}-/);
      }
    }
  });
});

describe("while Redis is down", () => {
  const e2e = useStack();

  test("a subscription shows what it holds while Redis is down", async () => {
    const subscriber = await newSubscriber(e2e);
    await e2e.api.pause(subscriber.id);
    await subscriber.backlog(2);
    await e2e.stack.restartIngest("SIGTERM", { REDIS_URL: `redis://127.0.0.1:${await freePort()}` });
    expect(await subscriber.look()).toMatchObject({ status: "paused", held: 2, heldReasons: { paused: 2 } });
    expect((await e2e.api.subscriptions({ tenant: subscriber.tenant })).data).toHaveLength(1);
  });
});
