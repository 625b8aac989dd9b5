import { Socket } from "node:net";
import pg from "pg";
import type { Logger } from "pino";
import { every } from "../../concurrency/every.ts";
import { within } from "../../concurrency/within.ts";

const CHECK_EVERY_MS = 4_000;
const ANSWER_WITHIN_MS = 2_000;
/** A process that was stopped for a while may take an answer that is there for a late one. */
const ASK_TIMES = 2;

/** No two servers have the same, nor two starts of one. An address would also differ between IPv4 and IPv6. */
const SERVER = "select extract(epoch from pg_postmaster_start_time())::text as server";

interface Probe {
  client: pg.Client;
  socket: Socket;
  isOpen: boolean;
}

export interface PoolTarget {
  databaseUrl: string;
  applicationName: string;
  /** The pool's open connections. */
  sockets: Iterable<Socket>;
}

/**
 * Destroys a pool's connections when the name in its URL leads to another server than they do. After a failover the old
 * primary may stay up, where writes fail and reads are stale, or vanish without closing anything, where statements hang.
 *
 * Each check connects anew. If the connection of the check before is open and leads to another server, or gives no
 * answer although the new one does, then so do the pool's. If nothing can be reached, the connections are left alone.
 */
export function startServerCheck(pool: PoolTarget, log: Logger) {
  let latest: Probe | undefined;

  async function check(): Promise<void> {
    const older = [...pool.sockets];
    const fresh = await connect(pool);
    const server = fresh && (await ask(fresh));
    if (fresh === undefined || server === undefined) return close(fresh);
    const previous = latest;
    latest = fresh;
    const isStale = previous !== undefined && (await isReplaced(previous, fresh, server));
    void close(previous);
    if (!isStale) return undefined;
    const stale = older.filter((socket) => !socket.destroyed);
    log.warn({ connections: stale.length }, "DATABASE_URL leads to another server now; reconnecting to Postgres");
    for (const socket of stale) socket.destroy();
    return undefined;
  }

  const checks = every(CHECK_EVERY_MS, "the check of the connections to Postgres", log, check);
  checks.trigger();
  return {
    async stop(): Promise<void> {
      await checks.stop();
      await close(latest);
    },
  };
}

async function isReplaced(previous: Probe, fresh: Probe, server: string): Promise<boolean> {
  for (let time = 0; time < ASK_TIMES; time += 1) {
    const answer = previous.isOpen ? await ask(previous) : undefined;
    if (answer !== undefined) return answer !== server;
    // A server that stops closes all connections, and the pool replaces them.
    if (!previous.isOpen) return false;
  }
  // Otherwise the server stands still.
  return (await ask(fresh)) === server;
}

async function connect({ databaseUrl, applicationName }: PoolTarget): Promise<Probe | undefined> {
  const socket = new Socket();
  const client = new pg.Client({
    connectionString: databaseUrl,
    application_name: applicationName,
    connectionTimeoutMillis: ANSWER_WITHIN_MS,
    stream: () => socket,
  });
  const probe = { client, socket, isOpen: true };
  const onClosed = () => (probe.isOpen = false);
  client.on("error", onClosed);
  client.on("end", onClosed);
  return client.connect().then(
    () => probe,
    () => {
      socket.destroy();
      return undefined;
    },
  );
}

/** The server that the connection leads to; undefined without an answer in time. */
function ask({ client }: Probe): Promise<string | undefined> {
  const answer = client.query<{ server: string }>(SERVER).then(
    ({ rows }) => rows[0]?.server,
    () => undefined,
  );
  return within<string | undefined>(ANSWER_WITHIN_MS, answer, () => undefined);
}

async function close(probe: Probe | undefined): Promise<void> {
  if (probe === undefined) return;
  await within(ANSWER_WITHIN_MS, probe.client.end(), () => undefined).catch(() => undefined);
  probe.socket.destroy();
}
