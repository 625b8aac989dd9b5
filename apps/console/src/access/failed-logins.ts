import type { Request } from "express";
import { FailureThrottle } from "@postrider/shared/runtime/failure-throttle.ts";
import type { Logger } from "@postrider/shared/runtime/telemetry/logger.ts";

/** Enough for a person who mistypes. */
const MAX_PER_MINUTE = 10;

/** Counts and logs failed logins. Beyond the limit of an address, one line a minute is logged. */
export function createFailedLogins(log: Logger) {
  const throttle = new FailureThrottle(MAX_PER_MINUTE, () => performance.now());
  return {
    /** @returns how many seconds to wait; 0 below the limit */
    count({ ip: address = "unknown" }: Request, by: "form" | "basic"): number {
      const { waitSeconds, isFirstRefused } = throttle.countFailure(address);
      if (waitSeconds === 0) log.warn({ address, by }, "login failed");
      else if (isFirstRefused)
        log.warn({ address, by, waitSeconds }, "too many logins failed; logging no more of them");
      return waitSeconds;
    },
  };
}
