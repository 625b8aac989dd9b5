import { readFileSync } from "node:fs";
import type { Redis } from "ioredis";
import { rateLimitKey } from "@postrider/shared/queue/keys.ts";
import type { SubscriptionQueue } from "./subscription-queue.ts";

const SCRIPT = readFileSync(new URL("rate-limit.lua", import.meta.url), "utf8");
const COMMAND = "postriderTakeTokens";
/** Requests that may be sent at once after a pause. */
const MAX_BURST = 5;
const REDIS_RETRY_MS = 100;

/** How many requests may be sent at once after a pause: of a pace, which a receiver can just take, no more than 50 ms of it. */
export const burstOf = (rate: number, limit: "rate_limit" | "pace"): number =>
  limit === "pace" ? Math.max(1, Math.min(MAX_BURST, Math.floor(rate / 20))) : MAX_BURST;

/**
 * Takes tokens of a subscription's fleet-wide rate limit.
 *
 * @param rate requests per second
 * @param burst how many may be taken at once after a pause
 * @returns how many of the wanted tokens are granted, and in how many milliseconds the next one is available. None is
 *   granted while Redis is unreachable, so that a limit is not exceeded while it can't be counted
 */
export type TakeTokens = (
  subscription: string,
  rate: number,
  burst: number,
  wanted: number,
) => Promise<{ granted: number; retryInMs: number }>;

/** @param clock Unix microseconds; by default Redis's own clock, so that workers with skewed clocks agree */
export function createRateLimit(redis: Redis, clock?: () => number): TakeTokens {
  if (!(COMMAND in redis)) redis.defineCommand(COMMAND, { numberOfKeys: 1, lua: SCRIPT });
  const run = (redis as unknown as Record<string, (...args: (string | number)[]) => Promise<[number, number]>>)[
    COMMAND
  ]!.bind(redis);
  return async (subscription, rate, burst, wanted) => {
    try {
      const [granted, retryInUs] = await run(
        rateLimitKey(subscription),
        clock?.() ?? "",
        1_000_000 / rate,
        burst,
        wanted,
      );
      return { granted, retryInMs: retryInUs / 1_000 };
    } catch {
      return { granted: 0, retryInMs: REDIS_RETRY_MS };
    }
  };
}

/**
 * Asks for tokens of a subscription's rate limit; one call and one timer per queue at a time.
 *
 * @property onAnswer called with the number of tokens that are granted
 * @property onDue called when the next token is available
 */
export function askForTokens(
  takeTokens: TakeTokens,
  queue: SubscriptionQueue,
  wanted: number,
  { onAnswer, onDue }: { onAnswer: (granted: number) => void; onDue: () => void },
): void {
  const rate = queue.rate!;
  queue.isAskingForTokens = true;
  void takeTokens(queue.subscription, rate, burstOf(rate, queue.rateLimitName), wanted).then(
    ({ granted, retryInMs }) => {
      queue.isAskingForTokens = false;
      queue.tokensAt = performance.now() + retryInMs;
      clearTimeout(queue.timer);
      queue.timer = setTimeout(() => {
        queue.timer = undefined;
        queue.tokensAt = 0;
        onDue();
      }, Math.ceil(retryInMs));
      onAnswer(granted);
    },
  );
}
