import type { PoolClient } from "pg";
import { MIGRATION_LOCK_TIMEOUT, withLockRetries } from "./lock-retries.ts";

const TABLE = "deliveries";

interface IndexDefinition {
  name: string;
  /** What follows `on deliveries`, as in schema/deliveries.ts. */
  definition: string;
  /** The queries that it serves. */
  comment: string;
}

/**
 * Indexes of `deliveries` that came after the first release. In a migration they would block all writers for as long as
 * they are built. Without them the same statements work, and take longer.
 */
export const LATER_INDEXES: readonly IndexDefinition[] = [
  {
    name: "deliveries_dead_id_idx",
    definition: "(uuid_send(id)) where state = 'dead'",
    comment: "GET /v1/deliveries?status=dead, newest first; the count of dead letters.",
  },
  {
    name: "deliveries_dead_tenant_idx",
    definition: "(tenant, uuid_send(id)) where state = 'dead'",
    comment: "GET /v1/deliveries?status=dead&tenant=, newest first.",
  },
  {
    name: "deliveries_dead_subscription_idx",
    definition: "(subscription_id, uuid_send(id)) where state = 'dead'",
    comment: "GET /v1/deliveries?status=dead&subscription=, newest first.",
  },
];

/** Replaced by others, or by other ways to read. Code of before uses them, so they are dropped last. */
const OBSOLETE = ["deliveries_dead_idx", "deliveries_tenant_idx"];

/**
 * Builds the later indexes, one partition at a time and without blocking writers. It goes on where an interrupted run
 * stopped. Partitions that are made meanwhile get the indexes when they are attached.
 *
 * @param client its session has MIGRATION_LOCK_TIMEOUT, and only one process may build
 * @returns the names of the indexes of partitions that were built
 */
export async function buildIndexes(client: PoolClient): Promise<string[]> {
  const built: string[] = [];
  for (const index of LATER_INDEXES) {
    if (!(await exists(client, index.name))) {
      await withLockRetries(() => client.query(`create index ${index.name} on only ${TABLE} ${index.definition}`));
      await client.query(`comment on index ${index.name} is ${client.escapeLiteral(index.comment)}`);
    }
    for (let partition; (partition = (await partitionsWithout(client, index))[0]) !== undefined;) {
      const { name } = partition;
      try {
        built.push(await withLockRetries(() => buildOn(client, name, index)));
      } catch (error) {
        // Unless the partition was dropped meanwhile.
        const left = await partitionsWithout(client, index).catch((): never => {
          throw error;
        });
        if (left.some((partition) => partition.name === name)) throw error;
      }
    }
  }
  for (const name of OBSOLETE) {
    if (await exists(client, name)) await withLockRetries(() => client.query(`drop index if exists ${name}`));
  }
  return built;
}

async function exists(client: PoolClient, name: string): Promise<boolean> {
  const { rows } = await client.query<{ exists: boolean }>("select to_regclass($1) is not null as exists", [name]);
  return rows[0]!.exists;
}

/** The newest first, because lists begin there. */
async function partitionsWithout(client: PoolClient, { name }: IndexDefinition): Promise<{ name: string }[]> {
  const { rows } = await client.query<{ name: string }>(
    `select c.relname as name from pg_inherits p join pg_class c on c.oid = p.inhrelid
     where p.inhparent = $1::regclass and not p.inhdetachpending and not exists (
       select from pg_inherits a join pg_index i on i.indexrelid = a.inhrelid
       where a.inhparent = $2::regclass and i.indrelid = c.oid
     ) order by c.relname desc`,
    [TABLE, name],
  );
  return rows;
}

async function buildOn(client: PoolClient, partition: string, { name, definition }: IndexDefinition): Promise<string> {
  const own = name.replace(TABLE, partition);
  // CONCURRENTLY waits for older transactions, such as a dump, and blocks no writer while it does.
  await client.query("set lock_timeout = 0");
  try {
    const { rows } = await client.query<{ valid: boolean }>(
      "select indisvalid as valid from pg_index where indexrelid = to_regclass($1)",
      [own],
    );
    if (rows[0]?.valid === false) await client.query(`drop index concurrently "${own}"`);
    if (rows[0]?.valid !== true)
      await client.query(`create index concurrently "${own}" on "${partition}" ${definition}`);
  } finally {
    // It fails where the connection broke, and the next statement does then.
    await client.query(`set lock_timeout = '${MIGRATION_LOCK_TIMEOUT}'`).catch(() => undefined);
  }
  await client.query(`alter index ${name} attach partition "${own}"`);
  return own;
}
