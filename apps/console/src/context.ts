import { createBreakers } from "@postrider/shared/breaker/breakers.ts";
import type { ConsoleSettings } from "@postrider/shared/runtime/settings/console.ts";
import { openInfrastructure } from "@postrider/shared/runtime/process/infrastructure.ts";
import { LoginThrottle } from "./access/throttle.ts";
import { createPasswordCheck } from "./access/password.ts";
import { createSessions } from "./access/sessions.ts";

export type Context = ReturnType<typeof createContext>;

/** One operator presses Retry; "Retry all" uses these side by side. */
const POOL_SIZE = 5;

/**
 * Everything that the routes need, made once. Neither Postgres nor Redis is asked for anything yet: the console starts
 * while they are away, and says so on its pages.
 */
export function createContext(settings: ConsoleSettings) {
  const infrastructure = openInfrastructure("console", settings, { poolSize: POOL_SIZE });
  return {
    ...infrastructure,
    settings,
    breakers: createBreakers(infrastructure.redis, {
      threshold: settings.breakerThreshold,
      cooldownMs: settings.breakerCooldownMs,
    }),
    isPassword: createPasswordCheck(settings.consolePassword),
    sessions: createSessions(settings.encryptionKey, settings.consolePassword, Date.now),
    throttle: new LoginThrottle(Date.now),
    /** The board is a view of Redis; without it there is nothing to show. */
    isReady: async () => infrastructure.redis.status === "ready",
  };
}
