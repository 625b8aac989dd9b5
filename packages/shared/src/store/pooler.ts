import type { PoolClient } from "pg";
import { sqlState } from "./errors.ts";
import type { Pool } from "./pool.ts";
import { readSession } from "./sql/read-session.ts";

const REASON =
  "DATABASE_URL leads to a connection pooler such as PgBouncer, which Postrider cannot work through: its connections " +
  "have settings and prepared statements of their own. Connect to Postgres itself";

/**
 * Refuses a pooler that loses a connection's settings, or shares one connection of the server among several of ours.
 * Prepared statements would then be missing or exist already, in a part of all calls.
 *
 * @throws Error of one line if the process must not start
 */
export async function refusePooler(pool: Pool): Promise<void> {
  const client = await pool.connect().catch((error: unknown) => {
    // PgBouncer's answer to settings that it does not know.
    const isRefused = sqlState(error) === "08P01" && /startup parameter/.test(String(error));
    throw isRefused ? new Error(REASON) : error;
  });
  try {
    const { pid, hasSettings } = await readSession(client);
    if (!hasSettings || (pid !== pidOf(client) && (await isShared(pool, client, pid)))) throw new Error(REASON);
  } finally {
    client.release();
  }
}

/** The server's process as the connection was told it. A pooler makes one up. */
const pidOf = (client: PoolClient): number | null => (client as PoolClient & { processID: number | null }).processID;

/** Whether a transaction of another connection gets the idle connection of this one, or takes it away from it. */
async function isShared(pool: Pool, idle: PoolClient, pid: number): Promise<boolean> {
  const other = await pool.connect();
  try {
    await other.query("begin");
    const taken = (await readSession(other)).pid;
    return taken === pid || (await readSession(idle)).pid !== pid;
  } finally {
    other.release(true);
  }
}
