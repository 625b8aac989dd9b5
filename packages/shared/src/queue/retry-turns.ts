import { readFileSync } from "node:fs";
import type { Redis } from "ioredis";
import { dueRetriesKey } from "./keys.ts";

/** A retry that is scheduled. */
export interface DueRetry {
  tenant: string;
  /** 0 is due now. */
  delayMs: number;
  /** Manual retries are counted apart, so that they never wait behind the automatic ones of their tenant. */
  isManual: boolean;
  /** Redis key of its job, if it is active and will be delayed again: then its priority is set. */
  activeJobKey?: string;
}

/**
 * Gives each retry its priority in the lane. BullMQ takes 0 first and keeps the priority of a delayed job. A tenant's
 * first retries of a second are therefore taken before the tail of any other tenant's.
 *
 * @returns one priority per retry, in order
 * @throws the error of Redis
 */
export type RetryTurns = (retries: readonly DueRetry[]) => Promise<number[]>;

const SCRIPT = readFileSync(new URL("retry-turn.lua", import.meta.url), "utf8");
const COMMAND = "postriderRetryTurn";
/**
 * Retries of a tenant that share a priority. A neighbour waits for at most this many of each flood per turn, which is
 * some 10 ms of a worker. A tenant with fewer failures per second never gets a priority.
 */
const PER_TURN = 10;
/** BullMQ accepts no larger one. */
const MAX_PRIORITY = 2 ** 21 - 1;
/** The counts outlive their second by this, for clocks that differ. */
const SLACK_S = 60;

/** The priority of a tenant's retry that has `index` others before it. */
export const priorityOfTurn = (index: number): number => Math.min(Math.floor(index / PER_TURN), MAX_PRIORITY);

/**
 * Counts in Redis, over the fleet. Lost counts cost only the order.
 *
 * @param now Unix milliseconds, by a clock that the fleet shares
 */
export function createRetryTurns(redis: Redis, now: () => number): RetryTurns {
  if (!(COMMAND in redis)) redis.defineCommand(COMMAND, { lua: SCRIPT });
  const run = (redis as unknown as Record<string, (...args: (string | number)[]) => Promise<number>>)[COMMAND]!.bind(
    redis,
  );
  return (retries) => {
    const nowMs = now();
    // Sent together: each call is written to the socket without waiting for the answer to the one before.
    return Promise.all(
      retries.map(({ tenant, delayMs, isManual, activeJobKey }) => {
        const keys = [dueRetriesKey(Math.floor((nowMs + delayMs) / 1_000)), ...(activeJobKey ? [activeJobKey] : [])];
        // The names of tenants contain no colon.
        const field = isManual ? `manual:${tenant}` : tenant;
        return run(keys.length, ...keys, field, PER_TURN, MAX_PRIORITY, Math.ceil(delayMs / 1_000) + SLACK_S);
      }),
    );
  };
}
