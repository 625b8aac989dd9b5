import { Socket } from "node:net";
import { drizzle, type NodePgDatabase } from "drizzle-orm/node-postgres";
import pg from "pg";
import type { Logger } from "pino";
import { isConflict, isDataError, isUnavailable } from "./errors.ts";
import { repeatConflicts } from "./repeat-conflicts.ts";
import * as schema from "./schema/index.ts";
import { connectTo } from "./session.ts";

export type Pool = pg.Pool;
/** Anything that runs a statement: the pool, or a connection inside a transaction. */
export type Queryable = pg.Pool | pg.PoolClient;
export type Db = NodePgDatabase<typeof schema> & { $client: Pool };
export type Transaction = Parameters<Parameters<Db["transaction"]>[0]>[0];

/**
 * Server settings for a process that repeats a few statements, all of which use an index: each is planned once per
 * connection. With a custom plan per call, a statement over all partitions takes longer to plan than to run (the
 * release of held deliveries with 90 partitions: 30 ms instead of 1).
 *
 * A plan may be made while the tables are empty and all plans cost the same, and is kept when they are full. Sequential
 * scans are therefore off, and each statement leaves the planner only one index. Rows with known ids are selected with
 * `id = any (…)` and not by a join, which may scan all ids between the smallest and the largest, and without the state
 * of a partial index. An additional range of ids prunes partitions.
 */
export const STEADY_PLANS = "-c plan_cache_mode=force_generic_plan -c enable_seqscan=off";

/** A pool whose open connections can be destroyed where they are of no use (runtime/process/server-check.ts). */
export class TrackedPool extends pg.Pool {
  readonly sockets: ReadonlySet<Socket>;

  constructor(config: pg.PoolConfig) {
    const sockets = new Set<Socket>();
    super({
      ...config,
      stream: () => {
        const socket = new Socket();
        sockets.add(socket);
        return socket.once("close", () => sockets.delete(socket));
      },
    });
    this.sockets = sockets;
  }
}

/**
 * Creates a pool of connections to Postgres. Every wait is bounded, so that a process responds "unavailable" while
 * Postgres is unreachable, and its requests do not pile up.
 *
 * @param size maximum number of connections
 * @param serverSettings command-line options of the server for these connections
 * @param timeoutMs how long a statement may take
 */
export function createPool(
  databaseUrl: string,
  applicationName: string,
  size: number,
  log: Logger,
  serverSettings?: string,
  timeoutMs = 15_000,
): TrackedPool {
  const pool = new TrackedPool({
    ...connectTo(databaseUrl, serverSettings),
    max: size,
    application_name: applicationName,
    connectionTimeoutMillis: 3_000,
    // The client's timeout is for a network that drops packets. It is longer, so that the server's normally comes
    // first.
    statement_timeout: timeoutMs,
    // Our own statements hold locks for milliseconds. A lock request that waits also blocks all that come after it.
    lock_timeout: 3_000,
    query_timeout: timeoutMs + 5_000,
    keepAlive: true,
  });
  // Postgres may close a checked-out connection between two statements (the watchdog's transaction). The next statement
  // fails and its caller handles that; without a listener this event would end the process.
  pool.on("connect", (client) => client.on("error", () => undefined));
  // The pool replaces an idle connection that breaks (Postgres restarts). Without a listener this would end the
  // process.
  pool.on("error", (error) => log.warn({ err: error }, "an idle Postgres connection broke"));
  pool.query = queryOf(pool);
  return pool;
}

/**
 * Repeats a statement after a conflict, and keeps the connection after an error that leaves it intact. The pool's own
 * `query` closes it after every error, so halving a flush would open a connection per step. After any other error it is
 * still closed: a statement that this connection has prepared may be the cause.
 */
function queryOf(pool: Pool): Pool["query"] {
  const query = (text: string | pg.QueryConfig, values?: unknown[]) =>
    runStatement(pool, (client) => client.query(text, values));
  return query as Pool["query"];
}

/** The same for a statement whose values depend on when a connection was free. @param run may be called several times */
export const runStatement = <T>(pool: Pool, run: (client: pg.PoolClient) => Promise<T>): Promise<T> =>
  repeatConflicts(async () => {
    const client = await pool.connect();
    let isBroken = true;
    try {
      const result = await run(client);
      isBroken = false;
      return result;
    } catch (error) {
      isBroken = !isDataError(error) && !isConflict(error);
      throw error;
    } finally {
      client.release(isBroken);
    }
  });

export const createDb = (pool: Pool): Db => drizzle(pool, { schema });

/**
 * Runs a transaction, and again after a conflict.
 *
 * @param work may run several times; its second argument is the connection, for statements of store/sql
 */
export const transaction = <T>(db: Db, work: (tx: Transaction, connection: pg.PoolClient) => Promise<T>): Promise<T> =>
  repeatConflicts(() =>
    withConnection(db.$client, (client) => drizzle(client, { schema }).transaction((tx) => work(tx, client))),
  );

/**
 * Runs `work` with a connection of the pool, which the pool keeps only where no transaction is open on it afterwards. A
 * statement that got no answer may still begin one, and then the next user's statements would never be committed.
 */
export async function withConnection<T>(pool: Pool, work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  let isUsable = false;
  try {
    const result = await work(client);
    isUsable = true;
    return result;
  } catch (error) {
    isUsable = !isUnavailable(error) && client.getTransactionStatus() === "I";
    throw error;
  } finally {
    client.release(!isUsable);
  }
}

/** Runs `work` in a transaction of this connection. */
export async function inTransaction<T>(client: pg.PoolClient, work: () => Promise<T>): Promise<T> {
  await client.query("begin");
  try {
    const result = await work();
    await client.query("commit");
    return result;
  } catch (error) {
    await client.query("rollback").catch(() => undefined);
    throw error;
  }
}
