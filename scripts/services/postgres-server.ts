import { chownSync, existsSync, readFileSync, realpathSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import pg from "pg";
import type { Account } from "./processes.ts";
import type { PostgresBinaries } from "./binaries.ts";
import { commandOf, end, isAlive, run } from "./processes.ts";
import { launch } from "./server-process.ts";

const USER = "postrider";

/** A PostgreSQL server whose folder contains `data/` and `server.log`. */
export interface PostgresServer {
  folder: string;
  password: string;
  account: Account | undefined;
}

export const postgresUrl = (port: number, password: string, database: string): string =>
  `postgres://${USER}:${password}@127.0.0.1:${port}/${database}`;

export const dataOf = (folder: string): string => join(folder, "data");

/** The major version that wrote the data; undefined without data. */
export function majorOfData(folder: string): number | undefined {
  const file = join(dataOf(folder), "PG_VERSION");
  return existsSync(file) ? Number(readFileSync(file, "utf8")) : undefined;
}

/** Creates an empty cluster. An interrupted one is created again. */
export async function initialise(
  binaries: PostgresBinaries,
  server: PostgresServer,
  isThrowaway = false,
): Promise<void> {
  const { folder, account, password } = server;
  const [unfinished, passwordFile] = [join(folder, "data.unfinished"), join(folder, "password")];
  rmSync(unfinished, { recursive: true, force: true });
  writeFileSync(passwordFile, password, { mode: 0o600 });
  if (account) chownSync(passwordFile, account.uid, account.gid);
  const args = [
    "-D",
    unfinished,
    "-U",
    USER,
    "-E",
    "UTF8",
    "--locale=C",
    "--auth=scram-sha-256",
    `--pwfile=${passwordFile}`,
  ];
  const env = { PATH: process.env["PATH"], LC_ALL: "C", TZ: "UTC" };
  const { code, stderr } = await run(binaries.initdb, isThrowaway ? [...args, "--no-sync"] : args, {
    account,
    env,
    cwd: folder,
  });
  rmSync(passwordFile, { force: true });
  if (code !== 0) throw new Error(`initdb failed: ${stderr.split("\n").slice(-3).join(" ")}`);
  renameSync(unfinished, dataOf(folder));
}

/** Copies a running server, so that this one starts as its streaming replica. */
export async function copyServer(binaries: PostgresBinaries, server: PostgresServer, url: string): Promise<void> {
  const { folder, account } = server;
  // Another folder may hold only links to some of the programs.
  const program = join(dirname(realpathSync(binaries.postgres)), "pg_basebackup");
  const args = ["-d", url, "-D", dataOf(folder), "-R", "-X", "stream", "-c", "fast", "--no-sync"];
  const { code, stderr } = await run(program, args, { account, cwd: folder });
  if (code !== 0) throw new Error(`pg_basebackup failed: ${stderr.split("\n").slice(-3).join(" ")}`);
}

/**
 * Starts the server on this port, on loopback only and without a unix socket, whose path could be too long. Returns its
 * pid.
 */
export async function startPostgres(
  binaries: PostgresBinaries,
  server: PostgresServer,
  port: number,
  settings: Record<string, string>,
): Promise<number> {
  const { folder, account } = server;
  await removeStalePidFile(folder);
  const all = { listen_addresses: "127.0.0.1", unix_socket_directories: "", ...settings };
  const options = Object.entries(all).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
  const args = ["-D", dataOf(folder), "-p", String(port), ...options];
  const logFile = join(folder, "server.log");
  const isReady = () => isOurs(port, server);
  const start = () =>
    launch({ name: "PostgreSQL", program: binaries.postgres, args, account, folder, logFile, isReady });
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await start();
    } catch (error) {
      // After kill -9 the old server's children keep its shared memory for a moment.
      if (attempt === 5 || !/shared memory|lock file/.test(String(error))) throw error;
      await pause(500);
    }
  }
}

/** Waits for the running server of this data; undefined if none is running, even with a pid file. */
export async function findRunning(server: PostgresServer): Promise<{ pid: number; port: number } | undefined> {
  const recorded = readPidFile(server.folder);
  if (!recorded || !(await isServerOf(server.folder, recorded.pid))) return undefined;
  const deadline = Date.now() + 60_000;
  while (!(await isOurs(recorded.port, server).catch(() => false))) {
    if (!isAlive(recorded.pid)) return undefined;
    if (Date.now() > deadline)
      throw new Error(`PostgreSQL (pid ${recorded.pid}) runs in ${server.folder} and does not respond`);
    await pause(50);
  }
  return recorded;
}

/** Stops the server: SIGINT aborts transactions, SIGQUIT skips the shutdown checkpoint. */
export async function stopPostgres(pid: number): Promise<void> {
  await end(pid, ["SIGINT", 30_000], ["SIGQUIT", 10_000], ["SIGKILL", 5_000]);
}

/** Creates a missing database from template0, because template1 may have been changed. */
export async function ensureDatabase(port: number, password: string, name: string): Promise<void> {
  await withClient(postgresUrl(port, password, "postgres"), async (client) => {
    const { rowCount } = await client.query("select from pg_database where datname = $1", [name]);
    if (rowCount === 0) await client.query(`create database ${client.escapeIdentifier(name)} template template0`);
  });
}

/** Runs work on a short-lived connection. */
export async function withClient<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({
    connectionString: url,
    connectionTimeoutMillis: 5_000,
    application_name: "postrider-scripts",
  });
  // A broken connection already rejects its query; without a listener the event would end the process.
  client.on("error", () => undefined);
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

/** Whether the server on this port is the one of this folder. */
async function isOurs(port: number, { folder, password }: PostgresServer): Promise<boolean> {
  return withClient(postgresUrl(port, password, "postgres"), async (client) => {
    const { rows } = await client.query<{ data_directory: string }>("show data_directory");
    return rows[0]?.data_directory === dataOf(folder);
  });
}

function readPidFile(folder: string): { pid: number; port: number } | undefined {
  const file = join(dataOf(folder), "postmaster.pid");
  if (!existsSync(file)) return undefined;
  // pid, data folder, start time, port, …: PostgreSQL's miscadmin.h
  const [pid, , , port] = readFileSync(file, "utf8").split("\n");
  return { pid: Number(pid), port: Number(port) };
}

async function isServerOf(folder: string, pid: number): Promise<boolean> {
  if (!(pid > 0) || !isAlive(pid)) return false;
  const command = await commandOf(pid);
  return command.includes("postgres") && command.includes(dataOf(folder));
}

/** After a reboot another process may have the pid, and PostgreSQL would refuse to start. */
async function removeStalePidFile(folder: string): Promise<void> {
  const recorded = readPidFile(folder);
  if (recorded && !(await isServerOf(folder, recorded.pid))) rmSync(join(dataOf(folder), "postmaster.pid"));
}
