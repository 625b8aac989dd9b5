import { readFileSync } from "node:fs";
import type { Redis } from "ioredis";
import { GroupCommit } from "../concurrency/group-commit.ts";
import type { BreakerPolicy, BreakerState } from "../core/breaker.ts";
import type { HealthEvent } from "../core/health.ts";
import { breakerKey, HALF_OPEN_BREAKERS_KEY, OPEN_BREAKERS_KEY, WATCHED_KEY } from "../queue/keys.ts";

const SCRIPT = readFileSync(new URL("breaker.lua", import.meta.url), "utf8");
const COMMAND = "postriderBreaker";
/** Events per script call: below a millisecond of Redis, which serves nothing else meanwhile. */
const MAX_CALL = { rows: 500, bytes: Number.POSITIVE_INFINITY };
const KEYS_BEFORE = 3;
const ANSWERS_PER_EVENT = 7;
const ARGUMENTS_PER_EVENT = 9;

/** A subscription's breaker and pace as the fleet sees them. Times are Unix milliseconds by Redis's clock. */
export interface SharedBreaker {
  state: BreakerState;
  /** Failed attempts in a row. */
  failures: number;
  /** Open: the end of the cooldown. Half open: when the probe counts as lost. Closed: 0. */
  until: number;
  /** The subscriber asked for no requests before this moment. */
  restUntil: number;
  lastFailureAt: number;
  /** The pace, requests per second of the fleet; 0 is not paced. */
  pace: number;
  /** Redis's clock when it was read. */
  now: number;
  /** Whether the event changed the state, or was granted the probe. */
  changed: boolean;
}

/** @property madeAt milliseconds of `performance.now()` */
type Call = { id: string; madeAt: number } & (HealthEvent | { kind: "read" });

/** The breakers of all subscriptions. Every call fails at once while Redis is unreachable: then nothing is known. */
export interface Breakers {
  /** @returns one per id, in order */
  read(subscriptionIds: readonly string[]): Promise<SharedBreaker[]>;
  apply(subscriptionId: string, event: HealthEvent): Promise<SharedBreaker>;
  /** How many are not closed, over all subscriptions. */
  count(now: number): Promise<Record<Exclude<BreakerState, "closed">, number>>;
  /** Subscriptions that something happened to in the last minute: a failure, a transition, or a report while paced. */
  watched(): Promise<string[]>;
}

/**
 * The breakers in Redis. Calls that are made while one is under way go into the next one, so that the number of calls
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
        all.length + KEYS_BEFORE,
        OPEN_BREAKERS_KEY,
        HALF_OPEN_BREAKERS_KEY,
        WATCHED_KEY,
        ...all.map(({ id }) => breakerKey(id)),
        clock?.() ?? "",
        policy.threshold,
        policy.recentSuccessMs,
        policy.cooldownMs,
        // Ages are as of the call, not of when the event was handed in.
        ...all.flatMap((call) => argumentsOf(call, clock ? 0 : sentAt - call.madeAt)),
      );
      const now = Number(answer[0]);
      let taken = 0;
      return groups.map((group) => group.map(() => parse(answer, 1 + ANSWERS_PER_EVENT * taken++, now)));
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
      // Redis forgets a breaker that nothing happened to in a week; so do these sets.
      await Promise.all([OPEN_BREAKERS_KEY, HALF_OPEN_BREAKERS_KEY].map((set) => redis.zremrangebyscore(set, 0, now)));
      const [open, half_open] = await Promise.all([
        redis.zcard(OPEN_BREAKERS_KEY),
        redis.zcard(HALF_OPEN_BREAKERS_KEY),
      ]);
      return { open, half_open };
    },
    watched: () => redis.zrange(WATCHED_KEY, "0", "-1"),
  };
}

function argumentsOf(call: Call, waitedMs: number): (string | number)[] {
  const fields = fieldsOf(call, waitedMs);
  return [...fields, ...Array<string>(ARGUMENTS_PER_EVENT - fields.length).fill("")];
}

function fieldsOf(call: Call, waitedMs: number): (string | number)[] {
  const age = (agoMs: number) => Math.round(agoMs + waitedMs);
  switch (call.kind) {
    case "read":
    case "reset":
      return [call.id, call.kind];
    case "success":
      return [call.id, call.kind, age(call.sentAgoMs), call.successes, call.isWaiting ? 1 : 0];
    case "failure":
      return [
        call.id,
        call.kind,
        age(call.sentAgoMs),
        call.countsForPace ? 1 : 0,
        call.isWaiting ? 1 : 0,
        call.isProbe ? 1 : 0,
        call.lastSuccessAgoMs === undefined ? "" : age(call.lastSuccessAgoMs),
        call.refused ?? "",
        Math.ceil(call.retryAfterMs),
      ];
    case "probe":
      return [call.id, call.kind, call.leaseMs];
  }
}

const parse = (answer: readonly (string | number)[], at: number, now: number): SharedBreaker => ({
  state: answer[at] as BreakerState,
  failures: Number(answer[at + 1]),
  until: Number(answer[at + 2]),
  restUntil: Number(answer[at + 3]),
  lastFailureAt: Number(answer[at + 4]),
  pace: Number(answer[at + 5]),
  changed: answer[at + 6] === 1,
  now,
});
