import { startThrowawayPostgres, type Throwaway, withClient } from "../../../../scripts/services/index.ts";
import { waitFor } from "../wait.ts";
import { type Forwarder, startForwarder } from "./forwarder.ts";

/** A PostgreSQL with a streaming replica that each commit waits for, and a port that leads to the primary. */
export interface PostgresPair {
  /** Leads through the forwarder. */
  readonly url: string;
  readonly forwarder: Forwarder;
  readonly primary: Throwaway;
  readonly replica: Throwaway;
  /** Makes the replica take writes. The forwarder still leads to the old primary, which knows nothing of this. */
  promote(): Promise<void>;
  /** The primary takes no more writes. */
  refuseWrites(): Promise<void>;
  stop(): Promise<void>;
}

/** @param prepare creates the tables, before the replica copies them */
export async function startPostgresPair(
  dir: string,
  prepare: (databaseUrl: string) => Promise<unknown>,
): Promise<PostgresPair> {
  const primary = await startThrowawayPostgres(dir, { settings: { wal_level: "replica", max_wal_senders: "5" } });
  await prepare(primary.url);
  const replica = await startThrowawayPostgres(dir, { copyOf: primary.url });
  const alter = (...statements: string[]) =>
    withClient(primary.url, async (client) => {
      for (const statement of statements) await client.query(statement);
    });
  // Without it, the replica may lack what was answered with 202.
  await alter(
    "alter system set synchronous_standby_names = '*'",
    "alter system set synchronous_commit = 'remote_apply'",
    "select pg_reload_conf()",
  );
  await waitFor("commits wait for the replica", () =>
    withClient(primary.url, async (client) => {
      const { rows } = await client.query("select from pg_stat_replication where sync_state = 'sync'");
      return rows.length > 0;
    }),
  );
  const forwarder = await startForwarder(primary.url);
  return {
    url: forwarder.through(primary.url),
    forwarder,
    primary,
    replica,
    async promote() {
      await withClient(replica.url, (client) => client.query("select pg_promote()"));
    },
    refuseWrites: () => alter("alter system set default_transaction_read_only = on", "select pg_reload_conf()"),
    async stop() {
      await forwarder.close();
      await Promise.all([primary.stop(), replica.stop()]);
    },
  };
}
