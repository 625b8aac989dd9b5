import { createBreakers } from "@postrider/shared/breaker/breakers.ts";
import type { ConsoleSettings } from "@postrider/shared/runtime/settings/console.ts";
import { openInfrastructure } from "@postrider/shared/runtime/process/infrastructure.ts";
import { createClientAddress } from "@postrider/shared/runtime/client-address.ts";
import { readinessOf } from "@postrider/shared/runtime/readiness.ts";
import { createLoginAttempts } from "./access/login-attempts.ts";
import { createPasswordCheck } from "./access/password.ts";
import { createSessionCookie } from "./access/session-cookie.ts";
import { createSessions } from "./access/sessions.ts";

export type Context = ReturnType<typeof createContext>;

/** "Retry all" uses all of them at once. */
const POOL_SIZE = 5;

/**
 * Creates what the routes need. It sends nothing to Postgres or Redis yet, so the console starts while they are
 * unreachable, and its pages say so.
 */
export function createContext(settings: ConsoleSettings) {
  const infrastructure = openInfrastructure("console", settings, { poolSize: POOL_SIZE });
  const { log, pool } = infrastructure;
  const { consolePassword: password } = settings;
  const sessions = createSessions({ password, pool, log });
  return {
    ...infrastructure,
    settings,
    breakers: createBreakers(infrastructure.redis, settings.breaker),
    isPassword: createPasswordCheck(password),
    sessions,
    attemptLogin: createLoginAttempts(log),
    clientAddress: createClientAddress(settings.trustedProxies),
    sessionCookie: createSessionCookie(settings.publicUrl),
    /** Without Redis the board has nothing to show. */
    readiness: async () =>
      readinessOf({ redis: infrastructure.redis.status === "ready" ? "ok" : "unavailable" }, ["redis"]),
    async close() {
      await sessions.close();
      await infrastructure.close();
    },
  };
}
