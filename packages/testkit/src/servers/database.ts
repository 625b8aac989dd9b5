import { createHash, randomBytes } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import type pg from "pg";
import { withClient } from "../../../../scripts/services/index.ts";
import { patience } from "../wait.ts";

/** The migrated database that every test database is cloned from. Checkouts may share a server that they are given. */
export const TEMPLATE = `postrider_template_${createHash("sha256")
  .update(import.meta.dirname)
  .digest("hex")
  .slice(0, 8)}`;

export async function dropTemplate(client: pg.Client): Promise<void> {
  await client.query(`drop database if exists ${TEMPLATE} with (force)`);
}

export interface TestDatabase {
  url: string;
  /** @throws Error that names the connections that are still open: they hide a leak */
  drop(): Promise<void>;
}

/** PostgreSQL refuses to clone a database while another session, another clone too, is connected to it. */
const CLONE_WITHIN_MS = 60_000;
/** How long connections that are being closed may take to disappear. */
const CLOSE_WITHIN_MS = 30_000;

/** Clones the template in about 70 ms. @param serverUrl the server's own database, as its superuser */
export async function createDatabase(serverUrl: string): Promise<TestDatabase> {
  const name = `test_${randomBytes(8).toString("hex")}`;
  await withClient(serverUrl, (client) => clone(client, name));
  const url = new URL(serverUrl);
  url.pathname = name;
  return { url: url.href, drop: () => withClient(serverUrl, (client) => drop(client, name)) };
}

async function clone(client: pg.Client, name: string): Promise<void> {
  const deadline = performance.now() + patience(CLONE_WITHIN_MS);
  for (;;) {
    try {
      await client.query(`create database ${name} template ${TEMPLATE}`);
      return;
    } catch (error) {
      if (!/being accessed/.test(String(error)) || performance.now() > deadline) throw error;
      await pause(50);
    }
  }
}

async function drop(client: pg.Client, name: string): Promise<void> {
  const deadline = performance.now() + patience(CLOSE_WITHIN_MS);
  let open = await connections(client, name);
  while (open.length > 0 && performance.now() < deadline) {
    await pause(25);
    open = await connections(client, name);
  }
  await client.query(`drop database if exists ${name} with (force)`);
  if (open.length > 0) throw new Error(`connections were left open:\n  ${open.join("\n  ")}`);
}

async function connections(client: pg.Client, name: string): Promise<string[]> {
  const { rows } = await client.query<{ line: string }>(
    `select format('%s %s, %s: %s', pid, application_name, state, query) as line
     from pg_stat_activity where datname = $1 and backend_type = 'client backend'`,
    [name],
  );
  return rows.map(({ line }) => line);
}
