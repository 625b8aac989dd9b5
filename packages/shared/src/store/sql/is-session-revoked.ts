import type { Queryable } from "../pool.ts";

const TEXT = `select exists (select from revoked_console_sessions where id = $1) as "isRevoked"`;

export async function isSessionRevoked(db: Queryable, id: string): Promise<boolean> {
  const { rows } = await db.query<{ isRevoked: boolean }>({ name: "is-session-revoked", text: TEXT, values: [id] });
  return rows[0]!.isRevoked;
}
