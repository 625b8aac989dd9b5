import { createHmac, randomBytes, scryptSync, timingSafeEqual } from "node:crypto";

export const SESSION_MS = 12 * 3_600_000;

/**
 * Sessions without a store: the cookie's value is `<id>.<expiry>.<signature>`, so sessions outlive a restart and are
 * valid in every console.
 */
export interface Sessions {
  issue(): string;
  isValid(token: string): boolean;
  /** Ends a session early. Only this process knows it, until it stops. */
  revoke(token: string): void;
}

/**
 * @param password gives the signing key, so that changing it ends every session. The derivation is slow, so that a
 *   stolen cookie does not help to guess it
 */
export function createSessions(password: string, now: () => number): Sessions {
  const key = scryptSync(password, "postrider console session", 32);
  /** Expiry by session id. */
  const revoked = new Map<string, number>();

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

  return {
    issue() {
      const payload = `${randomBytes(16).toString("base64url")}.${now() + SESSION_MS}`;
      return `${payload}.${sign(payload)}`;
    },
    isValid(token) {
      const session = read(token);
      return session !== undefined && !revoked.has(session.id);
    },
    revoke(token) {
      const session = read(token);
      for (const [id, expiresAt] of revoked) if (expiresAt <= now()) revoked.delete(id);
      if (session) revoked.set(session.id, session.expiresAt);
    },
  };
}
