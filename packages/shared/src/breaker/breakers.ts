import { readFileSync } from "node:fs";
import type { Redis } from "ioredis";
import type { Breaker, BreakerEvent, BreakerPolicy, BreakerState } from "../core/breaker.ts";
import { GroupCommit } from "../concurrency/group-commit.ts";
import { breakerKey, HALF_OPEN_BREAKERS_KEY, OPEN_BREAKERS_KEY } from "../queue/keys.ts";

const SCRIPT = readFileSync(new URL("breaker.lua", import.meta.url), "utf8");
const COMMAND = "postriderBreaker";
/** Events per script call. A call blocks Redis for less than a millisecond. */
const MAX_CALL = { rows: 500, bytes: Number.POSITIVE_INFINITY };

/** A breaker as Redis returned it. */
export interface SharedBreaker extends Breaker {
  /** Time of the read by Redis's clock, to compare `until` with. Unix milliseconds. */
  now: number;
  /** Whether the event changed the state. */
  changed: boolean;
}

/** @property createdAt milliseconds of `performance.now()` */
type Call = { id: string; createdAt: number } & (BreakerEvent | { kind: "read" });

/** The breakers of all subscriptions. Every call rejects immediately while Redis is unreachable. */
export interface Breakers {
  /** @returns one per id, in order */
  read(subscriptionIds: readonly string[]): Promise<SharedBreaker[]>;
  apply(subscriptionId: string, event: BreakerEvent): Promise<SharedBreaker>;
  /** Counts the breakers that are not closed, over all subscriptions. @param now Unix milliseconds */
  count(now: number): Promise<Record<Exclude<BreakerState, "closed">, number>>;
}

/**
 * Keeps the breakers in Redis. Events that arrive during a call share the next one, so the number of calls does not
 * grow with the load.
 *
 * @param clock Unix milliseconds; by default Redis's own clock, so that workers with skewed clocks agree
 */
export function createBreakers(redis: Redis, policy: BreakerPolicy, clock?: () => number): Breakers {
  if (!(COMMAND in redis)) redis.defineCommand(COMMAND, { lua: SCRIPT });
  const run = (redis as unknown as Record<string, (...args: (string | number)[]) => Promise<(string | number)[]>>)[
    COMMAND
  ]!.bind(redis);

  const calls = new GroupCommit<readonly Call[], SharedBreaker[]>({
    async flush(groups) {
      const all = groups.flat();
      const sentAt = performance.now();
      const reply = await run(
        all.length + 2,
        OPEN_BREAKERS_KEY,
        HALF_OPEN_BREAKERS_KEY,
        ...all.map(({ id }) => breakerKey(id)),
        clock?.() ?? "",
        policy.threshold,
        policy.cooldownMs,
        // `agoMs` counts from the start of the request, so it includes the event's wait in this buffer.
        ...all.flatMap((call) => argumentsOf(call, clock ? 0 : sentAt - call.createdAt)),
      );
      const now = Number(reply[0]);
      let parsed = 0;
      return groups.map((group) => group.map(() => parse(reply, 1 + 6 * parsed++, now)));
    },
    isDataError: () => false,
    weigh: (group) => ({ rows: group.length, bytes: 0 }),
    maxFlush: MAX_CALL,
    maxWaiting: { rows: Number.POSITIVE_INFINITY, bytes: Number.POSITIVE_INFINITY },
  });

  return {
    read: async (ids) => (ids.length === 0 ? [] : calls.add(ids.map((id) => ({ id, createdAt: 0, kind: "read" })))),
    apply: async (id, event) => (await calls.add([{ id, createdAt: performance.now(), ...event }]))[0]!,
    async count(now) {
      // A breaker's key expires after a week without a write, and so does its entry in these sets.
      await Promise.all([OPEN_BREAKERS_KEY, HALF_OPEN_BREAKERS_KEY].map((set) => redis.zremrangebyscore(set, 0, now)));
      const [open, half_open] = await Promise.all([
        redis.zcard(OPEN_BREAKERS_KEY),
        redis.zcard(HALF_OPEN_BREAKERS_KEY),
      ]);
      return { open, half_open };
    },
  };
}

function argumentsOf(call: Call, waitedMs: number): (string | number)[] {
  const agoMs = "agoMs" in call ? Math.round(call.agoMs + waitedMs) : 0;
  switch (call.kind) {
    case "read":
    case "reset":
      return [call.id, call.kind, "", "", "", ""];
    case "success":
      return [call.id, call.kind, call.generation, agoMs, "", ""];
    case "failure":
      return [call.id, call.kind, call.generation, agoMs, call.isProbe ? 1 : 0, Math.ceil(call.retryAfterMs)];
    case "probe":
      return [call.id, call.kind, call.leaseMs, "", "", ""];
  }
}

const parse = (reply: readonly (string | number)[], at: number, now: number): SharedBreaker => ({
  state: reply[at] as BreakerState,
  failures: Number(reply[at + 1]),
  generation: Number(reply[at + 2]),
  until: Number(reply[at + 3]),
  failedAt: Number(reply[at + 4]),
  changed: reply[at + 5] === 1,
  now,
});
