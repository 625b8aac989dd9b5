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
/** Of the last save, when the console stops. */
const LAST_SAVE_TIMEOUT_MS = 3_000;
const MAX_KNOWN = 10_000;
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
 * Postgres has the ids of sessions that ended early. While it does not answer, only sessions that this process issued or
 * has seen valid are, so that an old cookie does not come back to life, and an operator can still log in.
 */
export function createSessions({ password, pool, log }: SessionParts) {
  const key = scryptSync(password, "postrider console session", 32);
  /** Expiry by session id: of the sessions that this process issued or has seen valid in Postgres. */
  const known = new Map<string, number>();
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

  function remember(id: string, expiresAt: number): void {
    if (known.has(id)) return;
    forgetExpired(known);
    for (const oldest of known.keys()) {
      if (known.size < MAX_KNOWN) break;
      known.delete(oldest);
    }
    known.set(id, expiresAt);
  }

  function forget(id: string, expiresAt: number): void {
    known.delete(id);
    forgetExpired(revoked);
    revoked.set(id, expiresAt);
  }

  async function save(): Promise<void> {
    forgetExpired(unsaved);
    for (const [id, expiresAt] of unsaved) {
      await revokeSession(pool, id, new Date(expiresAt));
      unsaved.delete(id);
    }
  }
  async function trySave(timeoutMs: number, otherwise: string): Promise<void> {
    let cause: unknown;
    await within(timeoutMs, save(), () => undefined).catch((error: unknown) => void (cause = error));
    if (unsaved.size > 0) log.warn({ err: cause, sessions: unsaved.size }, otherwise);
  }
  const saving = every(SAVE_EVERY_MS, "saving ended sessions", log, save);

  return {
    issue(): string {
      const id = randomBytes(16).toString("base64url");
      const expiresAt = now() + SESSION_MS;
      remember(id, expiresAt);
      return `${id}.${expiresAt}.${sign(`${id}.${expiresAt}`)}`;
    },

    async isValid(token: string | undefined): Promise<boolean> {
      const session = token === undefined ? undefined : read(token);
      if (!session || revoked.has(session.id)) return false;
      const { id, expiresAt } = session;
      const isKnown = () => known.has(id);
      const check = isSessionRevoked(pool, id).then((isRevoked) => {
        if (isRevoked) forget(id, expiresAt);
        else if (!revoked.has(id)) remember(id, expiresAt);
        return isKnown();
      }, isKnown);
      return within(CHECK_TIMEOUT_MS, check, isKnown);
    },

    /**
     * Ends a session early, at once in this process, and in all others as soon as Postgres has stored it.
     *
     * @returns false if it had ended before
     */
    async revoke(token: string): Promise<boolean> {
      const session = read(token);
      if (!session || revoked.has(session.id)) return false;
      forget(session.id, session.expiresAt);
      unsaved.set(session.id, session.expiresAt);
      await trySave(CHECK_TIMEOUT_MS, "could not save yet that a session ended; trying again");
      return true;
    },

    /** Saves what is not saved yet, because the next process would not know of it. */
    async close(): Promise<void> {
      const lastSave = trySave(LAST_SAVE_TIMEOUT_MS, "could not save that sessions ended; they are valid again");
      await Promise.all([saving.stop(), lastSave]);
    },
  };
}

function forgetExpired(expiryById: Map<string, number>): void {
  for (const [id, expiresAt] of expiryById) if (expiresAt <= now()) expiryById.delete(id);
}
