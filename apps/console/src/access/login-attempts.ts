import { setTimeout as pause } from "node:timers/promises";
import type { Request } from "express";
import { FailureThrottle } from "@postrider/shared/runtime/failure-throttle.ts";
import type { Logger } from "@postrider/shared/runtime/telemetry/logger.ts";
import { Turns } from "./turns.ts";

/** Enough for a person who mistypes. */
const MAX_PER_MINUTE = 10;
/** Before each check of an address that is over the limit. A guesser has four tries a second, an operator waits. */
const SLOWED_MS = 250;
/** Five seconds. */
const MAX_SLOWED = 20;

/**
 * How a login went. `waitSeconds` is 0 where a wrong password may be followed by another at once. Where too many of an
 * address wait, none is checked.
 */
export type LoginResult = "right" | { waitSeconds: number; wasChecked: boolean };

/**
 * Checks passwords. Beyond the limit of failures of an address, its logins are checked one at a time and slowly, so that
 * a right password still gets in, and one line a minute is logged.
 */
export function createLoginAttempts(log: Logger) {
  const throttle = new FailureThrottle(MAX_PER_MINUTE, () => performance.now());
  const turns = new Turns(MAX_SLOWED, () => pause(SLOWED_MS));
  return async (
    { ip: address = "unknown" }: Request,
    by: "form" | "basic",
    isRight: () => boolean,
  ): Promise<LoginResult> => {
    const limit = throttle.limitOf(address);
    if (limit) {
      const turn = turns.next(limit.key);
      if (!turn) return { waitSeconds: limit.waitSeconds, wasChecked: false };
      await turn;
    }
    if (isRight()) return "right";
    const { waitSeconds, isFirstRefused } = throttle.countFailure(address);
    if (waitSeconds === 0) log.warn({ address, by }, "login failed");
    else if (isFirstRefused) log.warn({ address, by, waitSeconds }, "too many logins failed; logging no more of them");
    return { waitSeconds, wasChecked: true };
  };
}
