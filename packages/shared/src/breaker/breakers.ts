import { readFileSync } from "node:fs";
import type { Redis } from "ioredis";
import type { Breaker, BreakerEvent, BreakerPolicy, BreakerState } from "../core/breaker.ts";
import { GroupCommit } from "../concurrency/group-commit.ts";
import { breakerKey, HALF_OPEN_BREAKERS_KEY, OPEN_BREAKERS_KEY } from "../queue/keys.ts";

const SCRIPT = readFileSync(new URL("breaker.lua", import.meta.url), "utf8");
const COMMAND = "postriderBreaker";
/** Events per script call: below a millisecond of Redis, which serves nobody else meanwhile. */
const MAX_CALL = { rows: 500, bytes: Number.POSITIVE_INFINITY };

/** A breaker as the fleet sees it. */
export interface SharedBreaker extends Breaker {
  /** Redis's clock when it was read, to compare `until` with. Unix milliseconds. */
  now: number;
  /** Whether the event made it change its state. */
  changed: boolean;
}

/** @property madeAt milliseconds of `performance.now()` */
type Call = { id: string; madeAt: number } & (BreakerEvent | { kind: "read" });

/** The breakers of all subscriptions. Every call fails at once where Redis is away: then nothing is known. */
export interface Breakers {
  /** @returns one per id, in order */
  read(subscriptionIds: readonly string[]): Promise<SharedBreaker[]>;
  apply(subscriptionId: string, event: BreakerEvent): Promise<SharedBreaker>;
  /** How many are not closed, over all subscriptions. */
  count(now: number): Promise<Record<Exclude<BreakerState, "closed">, number>>;
}

/**
 * The breakers in Redis. What is asked while a call is under way goes into the next one, so that the number of calls
 * does not grow with the load.
 *
 * @param clock Unix milliseconds; Redis's own clock where it is left out, so that skewed workers agree
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
      const answer = await run(
        all.length + 2,
        OPEN_BREAKERS_KEY,
        HALF_OPEN_BREAKERS_KEY,
        ...all.map(({ id }) => breakerKey(id)),
        clock?.() ?? "",
        policy.threshold,
        policy.cooldownMs,
        // Requests are compared by when they began; how long their answers waited here is nothing of that.
        ...all.flatMap((call) => argumentsOf(call, clock ? 0 : sentAt - call.madeAt)),
      );
      const now = Number(answer[0]);
      let taken = 0;
      return groups.map((group) => group.map(() => parse(answer, 1 + 6 * taken++, now)));
    },
    isDataError: () => false,
    weigh: (group) => ({ rows: group.length, bytes: 0 }),
    maxFlush: MAX_CALL,
    maxWaiting: { rows: Number.POSITIVE_INFINITY, bytes: Number.POSITIVE_INFINITY },
  });

  return {
    read: async (ids) => (ids.length === 0 ? [] : calls.add(ids.map((id) => ({ id, madeAt: 0, kind: "read" })))),
    apply: async (id, event) => (await calls.add([{ id, madeAt: performance.now(), ...event }]))[0]!,
    async count(now) {
      // Breakers that nobody has asked for in a week are forgotten by Redis, and so are they here.
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

const parse = (answer: readonly (string | number)[], at: number, now: number): SharedBreaker => ({
  state: answer[at] as BreakerState,
  failures: Number(answer[at + 1]),
  generation: Number(answer[at + 2]),
  until: Number(answer[at + 3]),
  failedAt: Number(answer[at + 4]),
  changed: answer[at + 5] === 1,
  now,
});
