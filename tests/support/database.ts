import { randomBytes } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import pg from "pg";
import { inject } from "vitest";

/** The migrated database that every test database is a copy of. */
export const TEMPLATE = "postrider_template";

export interface TestDatabase {
  url: string;
  /** @throws Error that names what is still connected: a test that leaves connections open hides a leak */
  drop(): Promise<void>;
}

/** A migrated database of one's own, in about 70 ms. */
export async function createTestDatabase(): Promise<TestDatabase> {
  const adminUrl = inject("postgresUrl");
  const name = `test_${randomBytes(8).toString("hex")}`;
  await withAdmin(adminUrl, (admin) => clone(admin, name));
  const url = new URL(adminUrl);
  url.pathname = name;
  return { url: url.href, drop: () => withAdmin(adminUrl, (admin) => drop(admin, name)) };
}

/** One short connection to the server's own database. */
export async function withAdmin<T>(url: string, work: (admin: pg.Client) => Promise<T>): Promise<T> {
  const admin = new pg.Client({ connectionString: url, application_name: "test-support" });
  admin.on("error", () => undefined);
  await admin.connect();
  try {
    return await work(admin);
  } finally {
    await admin.end();
  }
}

/** PostgreSQL refuses to copy a database while anybody, another copy too, looks at it. */
async function clone(admin: pg.Client, name: string): Promise<void> {
  const deadline = Date.now() + 20_000;
  for (;;) {
    try {
      await admin.query(`create database ${name} template ${TEMPLATE}`);
      return;
    } catch (error) {
      if (!/being accessed/.test(String(error)) || Date.now() > deadline) throw error;
      await pause(50);
    }
  }
}

/** How long connections that are just being closed may take until they are gone. */
const CLOSING_MS = 2_000;

async function drop(admin: pg.Client, name: string): Promise<void> {
  const deadline = Date.now() + CLOSING_MS;
  let open = await connections(admin, name);
  while (open.length > 0 && Date.now() < deadline) {
    await pause(25);
    open = await connections(admin, name);
  }
  await admin.query(`drop database if exists ${name} with (force)`);
  if (open.length > 0) throw new Error(`connections were left open:\n  ${open.join("\n  ")}`);
}

async function connections(admin: pg.Client, name: string): Promise<string[]> {
  const { rows } = await admin.query<{ line: string }>(
    `select format('%s %s, %s: %s', pid, application_name, state, query) as line
     from pg_stat_activity where datname = $1 and backend_type = 'client backend'`,
    [name],
  );
  return rows.map(({ line }) => line);
}
