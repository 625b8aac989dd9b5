import { readFileSync } from "node:fs";
import type { Redis } from "ioredis";
import { GroupCommit } from "../concurrency/group-commit.ts";
import type { BreakerPolicy, BreakerState } from "../core/breaker.ts";
import type { HealthEvent } from "../core/health.ts";
import { breakerKey, HALF_OPEN_BREAKERS_KEY, OPEN_BREAKERS_KEY, WATCHED_KEY } from "../queue/keys.ts";

const SCRIPT = readFileSync(new URL("breaker.lua", import.meta.url), "utf8");
const COMMAND = "postriderBreaker";
/** Events per script call. The script blocks Redis for less than a millisecond. */
const MAX_CALL = { rows: 500, bytes: Number.POSITIVE_INFINITY };
const KEYS_BEFORE = 3;
const ANSWERS_PER_EVENT = 6;
const ARGUMENTS_PER_EVENT = 9;

/** A subscription's breaker and pace in Redis. Times are Unix milliseconds by Redis's clock. */
export interface SharedBreaker {
  state: BreakerState;
  /** Consecutive failed attempts. */
  failures: number;
  /** Open: the end of the cooldown. Half open: when the probe counts as lost. Closed: 0. */
  until: number;
  /** No requests before this time: the subscriber's `Retry-After`. */
  restUntil: number;
  /** Requests per second for the fleet; 0 is no pace. */
  pace: number;
  /** Redis's clock at the time of the call. */
  now: number;
  /** Whether the event changed the state, or was granted the probe. */
  changed: boolean;
}

/** @property createdAt milliseconds of `performance.now()` */
type Call = { id: string; createdAt: number } & (HealthEvent | { kind: "read" });

/** The breakers of all subscriptions. Every call fails at once while Redis is unreachable. */
export interface Breakers {
  /** @returns one per id, in order */
  read(subscriptionIds: readonly string[]): Promise<SharedBreaker[]>;
  apply(subscriptionId: string, event: HealthEvent): Promise<SharedBreaker>;
  /** How many are not closed, over all subscriptions. */
  count(now: number): Promise<Record<Exclude<BreakerState, "closed">, number>>;
  /** The subscriptions whose breaker is not closed. */
  notClosed(): Promise<string[]>;
  /** Subscriptions with a failure in the last minute, a breaker that is not closed, a rest or a pace. */
  watched(): Promise<string[]>;
}

/**
 * The breakers in Redis. Calls made during a script call are coalesced into the next one, so the number of script calls
 * does not grow with the load.
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
        // Ages are relative to the script call: add the time that the event waited for it.
        ...all.flatMap((call) => argumentsOf(call, clock ? 0 : sentAt - call.createdAt)),
      );
      const now = Number(answer[0]);
      let taken = 0;
      return groups.map((group) => group.map(() => parse(answer, 1 + ANSWERS_PER_EVENT * taken++, now)));
    },
    // A script that fails may have applied some of its events.
    failsAll: () => true,
    weigh: (group) => ({ rows: group.length, bytes: 0 }),
    maxFlush: MAX_CALL,
    maxWaiting: { rows: Number.POSITIVE_INFINITY, bytes: Number.POSITIVE_INFINITY },
  });

  return {
    read: async (ids) => (ids.length === 0 ? [] : calls.add(ids.map((id) => ({ id, createdAt: 0, kind: "read" })))),
    apply: async (id, event) => (await calls.add([{ id, createdAt: performance.now(), ...event }]))[0]!,
    async count(now) {
      // Hashes expire after a week without events; remove their entries from the sets too.
      await Promise.all([OPEN_BREAKERS_KEY, HALF_OPEN_BREAKERS_KEY].map((set) => redis.zremrangebyscore(set, 0, now)));
      const [open, half_open] = await Promise.all([
        redis.zcard(OPEN_BREAKERS_KEY),
        redis.zcard(HALF_OPEN_BREAKERS_KEY),
      ]);
      return { open, half_open };
    },
    async notClosed() {
      const sets = [OPEN_BREAKERS_KEY, HALF_OPEN_BREAKERS_KEY];
      return (await Promise.all(sets.map((set) => redis.zrange(set, "0", "-1")))).flat();
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
    case "success": {
      // 0 is a success that is reported at once: the events before it are in the script already.
      const agoMs = call.agoMs === 0 ? 0 : age(call.agoMs);
      return [call.id, call.kind, age(call.sentAgoMs), call.successes, call.isWaiting ? 1 : 0, agoMs];
    }
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
  pace: Number(answer[at + 4]),
  changed: answer[at + 5] === 1,
  now,
});
