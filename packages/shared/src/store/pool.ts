import { drizzle, type NodePgDatabase } from "drizzle-orm/node-postgres";
import pg from "pg";
import type { Logger } from "pino";
import * as schema from "./schema/index.ts";

export type Pool = pg.Pool;
/** Runs a statement: the pool, or a connection with a transaction of its own. */
export type Queryable = pg.Pool | pg.PoolClient;
export type Db = NodePgDatabase<typeof schema>;

/**
 * Server settings for a process that runs the same few statements for ever, all of them by index: each is planned once per
 * connection. Planned anew for its values, one that touches all partitions costs more to plan than to run (the release of
 * held deliveries with 90 partitions: 30 ms instead of 1).
 *
 * A plan may so be made while the tables are empty, when every way costs the same, and is kept when they are full. So there are
 * no sequential scans, and statements are written such that there is one index to take: rows that are known by their ids
 * are asked for with `id = any (…)`, since a join with a list may become a walk over all ids between the lowest
 * and the highest, and without the state that a partial index is of. A range of ids beside that prunes partitions.
 */
export const STEADY_PLANS = "-c plan_cache_mode=force_generic_plan -c enable_seqscan=off";

/**
 * Connections to Postgres. Every wait is bounded, so that a process answers "unavailable" while Postgres is unreachable
 * instead of piling requests up behind it.
 *
 * @param size how many connections at most
 * @param serverSettings command-line options of the server for these connections
 */
export function createPool(databaseUrl: string, app: string, size: number, log: Logger, serverSettings?: string): Pool {
  const pool = new pg.Pool({
    connectionString: databaseUrl,
    max: size,
    application_name: `postrider-${app}`,
    connectionTimeoutMillis: 3_000,
    // A network that swallows packets must not hold a statement for ever: the client's own limit is the later one.
    statement_timeout: 15_000,
    query_timeout: 20_000,
    keepAlive: true,
    options: serverSettings,
  });
  // Postgres may end a connection while it is checked out and between two statements (the watchdog's transaction). Its next
  // statement fails and is handled there; without a listener the event itself would end the process.
  pool.on("connect", (client) => client.on("error", () => undefined));
  // An idle connection that breaks (Postgres restarts) is replaced by the pool; without a listener it would end the process.
  pool.on("error", (error) => log.warn({ err: error }, "an idle Postgres connection broke"));
  return pool;
}

export const createDb = (pool: Pool): Db => drizzle(pool, { schema });
