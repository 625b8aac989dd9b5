import { createHmac, randomBytes, scryptSync, timingSafeEqual } from "node:crypto";
import { every } from "@postrider/shared/concurrency/every.ts";
import { within } from "@postrider/shared/concurrency/within.ts";
import { now } from "@postrider/shared/runtime/clock.ts";
import type { Logger } from "@postrider/shared/runtime/telemetry/logger.ts";
import type { Pool } from "@postrider/shared/store/pool.ts";
import { isSessionRevoked } from "@postrider/shared/store/sql/is-session-revoked.ts";
import { revokeSession } from "@postrider/shared/store/sql/revoke-session.ts";

export const SESSION_MS = 12 * 3_600_000;
const CHECK_TIMEOUT_MS = 1_000;
const SAVE_EVERY_MS = 10_000;

interface SessionParts {
  /**
   * Gives the signing key, so that changing it ends every session. The derivation is slow, so that a stolen cookie does
   * not help to guess it.
   */
  password: string;
  pool: Pool;
  log: Logger;
}

/**
 * Sessions that outlive a restart and are valid in every console: a cookie's value is `<id>.<expiry>.<signature>`.
 * Postgres has the ids of sessions that ended early. While it does not answer, only sessions that this process issued are
 * valid, so that none comes back to life, and an operator can still log in.
 */
export function createSessions({ password, pool, log }: SessionParts) {
  const key = scryptSync(password, "postrider console session", 32);
  /** Expiry by session id. */
  const issued = new Map<string, number>();
  const revoked = new Map<string, number>();
  const unsaved = new Map<string, number>();

  const sign = (payload: string): string => createHmac("sha256", key).update(payload).digest("base64url");

  /** @returns id and expiry of a session that a console issued and that has not expired */
  function read(token: string): { id: string; expiresAt: number } | undefined {
    const end = token.lastIndexOf(".");
    const payload = token.slice(0, Math.max(end, 0));
    const [given, expected] = [Buffer.from(token.slice(end + 1)), Buffer.from(sign(payload))];
    if (given.length !== expected.length || !timingSafeEqual(given, expected)) return undefined;
    const [id, expiry] = payload.split(".");
    const expiresAt = Number(expiry);
    return id !== undefined && expiresAt > now() ? { id, expiresAt } : undefined;
  }

  async function save(): Promise<void> {
    forgetExpired(unsaved);
    for (const [id, expiresAt] of unsaved) {
      await revokeSession(pool, id, new Date(expiresAt));
      unsaved.delete(id);
    }
  }
  const saving = every(SAVE_EVERY_MS, "saving ended sessions", log, save);

  return {
    issue(): string {
      const id = randomBytes(16).toString("base64url");
      const expiresAt = now() + SESSION_MS;
      forgetExpired(issued);
      issued.set(id, expiresAt);
      return `${id}.${expiresAt}.${sign(`${id}.${expiresAt}`)}`;
    },

    async isValid(token: string | undefined): Promise<boolean> {
      const session = token === undefined ? undefined : read(token);
      if (!session || revoked.has(session.id)) return false;
      const withoutPostgres = () => issued.has(session.id);
      const check = isSessionRevoked(pool, session.id).then((isRevoked) => !isRevoked, withoutPostgres);
      return within(CHECK_TIMEOUT_MS, check, withoutPostgres);
    },

    /**
     * Ends a session early, at once in this process, and in all others as soon as Postgres has stored it.
     *
     * @returns false if it had ended before
     */
    async revoke(token: string): Promise<boolean> {
      const session = read(token);
      if (!session || revoked.has(session.id)) return false;
      forgetExpired(revoked);
      revoked.set(session.id, session.expiresAt);
      unsaved.set(session.id, session.expiresAt);
      await within(CHECK_TIMEOUT_MS, save(), () => undefined).catch((error: unknown) => {
        log.warn({ err: error }, "could not save that a session ended; trying again");
      });
      return true;
    },

    close: () => saving.stop(),
  };
}

function forgetExpired(expiryById: Map<string, number>): void {
  for (const [id, expiresAt] of expiryById) if (expiresAt <= now()) expiryById.delete(id);
}
