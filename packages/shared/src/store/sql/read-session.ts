import type { Queryable } from "../pool.ts";

const TEXT = `select pg_backend_pid() as pid, current_setting('jit') = 'off' as "hasSettings"`;

export interface Session {
  /** Of the server's process. */
  pid: number;
  /** Whether the server knows the settings that store/session.ts asks for. */
  hasSettings: boolean;
}

/** Reads what a connection has on the side of the server. */
export async function readSession(db: Queryable): Promise<Session> {
  const { rows } = await db.query<Session>(TEXT);
  return rows[0]!;
}
