import type { Queryable } from "../pool.ts";

// The clock of a console that compares the expiry may be behind Postgres's.
const TEXT = `
  with expired as (delete from revoked_console_sessions where expires_at < now() - interval '1 hour')
  insert into revoked_console_sessions (id, expires_at) values ($1, $2)
  on conflict do nothing`;

/** Stores that a session ended before its expiry, and deletes the entries of sessions that have expired. */
export async function revokeSession(db: Queryable, id: string, expiresAt: Date): Promise<void> {
  await db.query({ name: "revoke-session", text: TEXT, values: [id, expiresAt] });
}
