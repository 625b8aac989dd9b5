import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { retryDelivery } from "@postrider/shared/runtime/retry-delivery.ts";
import { createIdSource, newId } from "@postrider/shared/runtime/new-id.ts";
import { createTestWorld } from "@postrider/testkit/vitest.ts";
import type { World } from "@postrider/testkit/world/world.ts";
import type { Delivery } from "../../apps/worker/src/delivery.ts";
import type { Transition } from "@postrider/shared/core/delivery/transitions.ts";

let world: World;
let delivery: Delivery;
beforeAll(async () => {
  world = await createTestWorld();
});
afterAll(() => world.close());
beforeEach(async () => {
  await world.empty();
  await world.subscribe();
  await world.accept({});
  delivery = (await world.load())[0]!;
});

const outcome = (loaded: Delivery, transition: Transition, id = newId()) => ({
  delivery: loaded,
  transition,
  attempt: {
    id,
    trigger: "auto" as const,
    startedAt: new Date(),
    durationMs: 5,
    responseStatus: transition.state === "delivered" ? 200 : 500,
    responseBody: "body",
    error: null,
  },
  scheduleStep: loaded.scheduleStep + 1,
  lastError: transition.state === "delivered" ? null : "HTTP 500",
});
const record = (loaded: Delivery, transition: Transition, id?: string) =>
  world.context.recorder.record(outcome(loaded, transition, id));
const row = async () => (await world.rows())[0]!;
const attempts = async () =>
  (
    await world.context.pool.query<{ number: number; superseded: boolean }>(
      "select number, superseded from attempts order by id",
    )
  ).rows;

test("recording updates the delivery and inserts the attempt in one commit", async () => {
  expect(await record(delivery, { state: "retrying", delayMs: 5_000 })).toBe(true);
  expect(await row()).toMatchObject({
    state: "retrying",
    attempt_count: 1,
    schedule_step: 1,
    batch_id: null,
    last_error: "HTTP 500",
  });
  expect((await row()).next_attempt_at!.getTime()).toBeGreaterThan(Date.now() + 4_000);
  expect(await attempts()).toEqual([{ number: 1, superseded: false }]);
});

test("a worker that lost its lock cannot overwrite its successor, and its attempt is recorded as superseded", async () => {
  await record(delivery, { state: "retrying", delayMs: 0 });
  expect(await record(delivery, { state: "dead", reason: "exhausted" })).toBe(false);
  expect(await row()).toMatchObject({ state: "retrying", attempt_count: 1 });
  expect(await attempts()).toEqual([
    { number: 1, superseded: false },
    { number: 1, superseded: true },
  ]);
});

test("a late 2xx wins over every other state", async () => {
  await record(delivery, { state: "dead", reason: "exhausted" });
  expect(await record(delivery, { state: "delivered" })).toBe(true);
  expect(await row()).toMatchObject({ state: "delivered", dead_reason: null, last_error: null });
});

test("nothing overwrites a delivered delivery", async () => {
  await record(delivery, { state: "delivered" });
  for (const transition of [
    { state: "dead", reason: "gone" },
    { state: "held", reason: "paused" },
    { state: "delivered" },
  ] as const) {
    expect(await record(delivery, transition)).toBe(false);
  }
  expect(await row()).toMatchObject({ state: "delivered", attempt_count: 1 });
});

test("recording the same attempt twice has no effect, so a commit whose answer was lost can be repeated", async () => {
  const id = newId();
  await record(delivery, { state: "retrying", delayMs: 0 }, id);
  expect(await record(delivery, { state: "retrying", delayMs: 0 }, id)).toBe(false);
  expect(await attempts()).toEqual([{ number: 1, superseded: false }]);
});

test("an attempt whose id was made by a clock thirty days ahead is recorded, and so are those after it", async () => {
  const ahead = createIdSource(() => Date.now() + 30 * 86_400_000);
  expect(await record(delivery, { state: "retrying", delayMs: 0 }, ahead())).toBe(true);
  const loaded = (await world.load())[0]!;
  expect(await record(loaded, { state: "delivered" })).toBe(true);
  expect(await attempts()).toHaveLength(2);
});

test("an outcome from before a manual retry changes nothing", async () => {
  await record(delivery, { state: "retrying", delayMs: 60_000 });
  const old = (await world.load())[0]!;
  await retryDelivery(world.context, delivery.id);
  expect(await record(old, { state: "dead", reason: "exhausted" })).toBe(false);
  expect(await row()).toMatchObject({ state: "retrying", cycle: 1, schedule_step: 0 });
});

test("holding a delivery spends no attempt and keeps the last error", async () => {
  await record(delivery, { state: "retrying", delayMs: 0 });
  const loaded = (await world.load())[0]!;
  const { scheduleStep } = loaded;
  const held = {
    delivery: loaded,
    transition: { state: "held", reason: "paused" } as const,
    attempt: undefined,
    scheduleStep,
    lastError: null,
  };
  expect(await world.context.recorder.record(held)).toBe(true);
  expect(await row()).toMatchObject({
    state: "held",
    held_reason: "paused",
    attempt_count: 1,
    schedule_step: 1,
    last_error: "HTTP 500",
  });
});

test("each outcome of a flush changes only its own delivery", async () => {
  await world.accept(...Array.from({ length: 250 }, () => ({})));
  const loaded = await world.load();
  const results = await Promise.all(
    loaded.map((one, index) =>
      record(one, index % 2 === 0 ? { state: "delivered" } : { state: "dead", reason: "exhausted" }),
    ),
  );
  expect(results.every(Boolean)).toBe(true);
  const states = (await world.rows()).map(({ state }) => state);
  expect(states.filter((state) => state === "delivered")).toHaveLength(126);
  expect(states.filter((state) => state === "dead")).toHaveLength(125);
});

test.each(["delivered", "dead", "retrying", "held", "cancelled"] as const)(
  "a manual retry of a %s delivery starts a new cycle that is due now",
  async (state) => {
    const moves: Record<typeof state, Transition> = {
      delivered: { state },
      dead: { state, reason: "exhausted" },
      retrying: { state, delayMs: 3_600_000 },
      held: { state, reason: "breaker" },
      cancelled: { state },
    } as Record<typeof state, Transition>;
    await record(delivery, moves[state]);
    expect(await retryDelivery(world.context, delivery.id)).toEqual({
      kind: "retrying",
      cycle: 1,
    });
    expect(await row()).toMatchObject({
      state: "retrying",
      cycle: 1,
      schedule_step: 0,
      attempt_count: 1,
      settled_at: null,
    });
    expect(await world.context.queues.retry.getJobState(`${delivery.id}-1`)).toBe("waiting");
  },
);

test("a manual retry is refused where the delivery is due already", async () => {
  await record(delivery, { state: "retrying", delayMs: 0 });
  expect(await retryDelivery(world.context, delivery.id)).toEqual({ kind: "delivery_pending" });
  expect(await row()).toMatchObject({ cycle: 0 });
});

test("of many manual retries at once one begins a cycle", async () => {
  await record(delivery, { state: "dead", reason: "exhausted" });
  const results = await Promise.all(Array.from({ length: 20 }, () => retryDelivery(world.context, delivery.id)));
  expect(results.filter(({ kind }) => kind === "retrying")).toEqual([{ kind: "retrying", cycle: 1 }]);
  expect(results.filter(({ kind }) => kind === "delivery_pending")).toHaveLength(19);
  expect(await row()).toMatchObject({ state: "retrying", cycle: 1 });
});

test("a manual retry is refused while the retry's job has its lock, and accepted while Redis cannot say", async () => {
  await record(delivery, { state: "retrying", delayMs: 3_600_000 });
  const { redis, queues } = world.context;
  await redis.set(`${queues.retry.toKey(`${delivery.id}-0`)}:lock`, "token");
  expect(await retryDelivery(world.context, delivery.id)).toEqual({ kind: "delivery_pending" });
  const exists = () => Promise.reject(new Error("Redis is unreachable"));
  const withoutRedis = { ...world.context, redis: { exists, hget: exists } };
  expect(await retryDelivery(withoutRedis, delivery.id)).toEqual({ kind: "retrying", cycle: 1 });
});

test.each(["paused", "disabled"] as const)("a manual retry is refused while the subscription is %s", async (status) => {
  await record(delivery, { state: "dead", reason: "exhausted" });
  const reason = status === "disabled" ? "gone" : null;
  await world.context.pool.query("update subscriptions set status = $1, disabled_reason = $2", [status, reason]);
  expect(await retryDelivery(world.context, delivery.id)).toEqual({ kind: `subscription_${status}` });
  expect(await row()).toMatchObject({ state: "dead", cycle: 0 });
});

test("a manual retry is refused for a pending delivery, for another tenant and for a deleted subscription", async () => {
  const { pool } = world.context;
  expect(await retryDelivery(world.context, delivery.id)).toEqual({ kind: "delivery_pending" });
  expect(await retryDelivery(world.context, delivery.id, "other")).toEqual({ kind: "not_found" });
  expect(await retryDelivery(world.context, newId())).toEqual({ kind: "not_found" });
  await pool.query("update subscriptions set deleted_at = now()");
  expect(await retryDelivery(world.context, delivery.id)).toEqual({ kind: "subscription_deleted" });
});
