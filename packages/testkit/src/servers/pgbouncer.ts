import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { needProgram } from "../../../../scripts/services/install.ts";
import { freePort } from "../processes/ports.ts";
import { waitFor } from "../wait.ts";

export interface PgBouncerOptions {
  mode: "session" | "transaction";
  /** Connections of the server. */
  poolSize?: number;
  /** Further lines of its configuration. */
  options?: string;
  /** Settings of the server for its connections. */
  settings?: string;
}

export interface PgBouncer {
  /** The URL of the database through it. */
  url: string;
  stop(): Promise<void>;
}

/**
 * Starts a PgBouncer before a database. It takes every login, and logs in as the user of the URL. It ends with this
 * process.
 */
export async function startPgBouncer(
  databaseUrl: string,
  { mode, poolSize = 2, options = "", settings }: PgBouncerOptions,
): Promise<PgBouncer> {
  const program = await needProgram("pgbouncer");
  const { hostname, port, username, password, pathname } = new URL(databaseUrl);
  const folder = mkdtempSync(join(tmpdir(), "postrider-pgbouncer-"));
  const listen = await freePort();
  const file = join(folder, "pgbouncer.ini");
  const target = [
    `host=${hostname.replace(/^\[|\]$/g, "")} port=${port || 5432} user=${username}`,
    password === "" ? "" : `password=${decodeURIComponent(password)}`,
    settings === undefined ? "" : `connect_query='${settings}'`,
  ].join(" ");
  writeFileSync(
    file,
    `[databases]\n* = ${target}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = ${listen}\nunix_socket_dir =\n` +
      `auth_type = any\npool_mode = ${mode}\ndefault_pool_size = ${poolSize}\n${options}\n`,
  );
  const user = process.getuid?.() === 0 ? ["-u", "nobody"] : [];
  const child = spawn(program, ["-q", ...user, file], { stdio: "ignore" });
  const stopped = once(child, "exit");
  const killWithUs = () => child.kill("SIGKILL");
  process.once("exit", killWithUs);
  const stop = async () => {
    process.off("exit", killWithUs);
    child.kill("SIGKILL");
    await stopped;
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await waitFor("PgBouncer listens", async () => {
      const socket = connect(listen, "127.0.0.1");
      return once(socket, "connect").then(
        () => Boolean(socket.destroy()),
        () => false,
      );
    });
  } catch (error) {
    await stop();
    throw error;
  }
  const url = new URL(databaseUrl);
  url.hostname = "127.0.0.1";
  url.port = String(listen);
  url.pathname = pathname;
  return { url: url.href, stop };
}
