import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import type { Account } from "./processes.ts";

export interface Launch {
  name: string;
  program: string;
  args: readonly string[];
  account: Account | undefined;
  folder: string;
  logFile: string;
  /** Connects to the server. Throws while it is not ready. */
  isReady: () => Promise<boolean>;
}

/** Long, because a server may have to replay a long log after a crash. */
const READY_DEADLINE_MS = 180_000;

/**
 * Starts a server in a session of its own, so that a Ctrl-C in the terminal does not end it, and waits until it is
 * ready.
 *
 * @returns its pid
 * @throws Error with the last lines of its log
 */
export async function launch({ name, program, args, account, folder, logFile, isReady }: Launch): Promise<number> {
  const log = openSync(logFile, "a", 0o600);
  const child = spawn(program, args, {
    ...account,
    cwd: folder,
    detached: true,
    stdio: ["ignore", log, log],
    // Not the environment of this process: PGPORT and similar variables would affect the server.
    env: { PATH: process.env["PATH"] ?? "", LC_ALL: "C", TZ: "UTC" },
  });
  closeSync(log);
  child.unref();
  const failed = failure(child);
  const deadline = Date.now() + READY_DEADLINE_MS;
  while (!(await isReady().catch(() => false))) {
    const reason = failed() ?? (Date.now() > deadline ? "it does not respond" : undefined);
    if (reason !== undefined) {
      child.kill("SIGKILL");
      throw new Error(`${name} did not start: ${reason}\n${lastLines(logFile)}`);
    }
    await pause(30);
  }
  return child.pid!;
}

function failure(child: ChildProcess): () => string | undefined {
  let error: string | undefined;
  child.once("error", ({ message }) => (error = message));
  child.once("exit", (code, signal) => (error ??= `it ended with ${signal ?? `code ${code}`}`));
  return () => error;
}

function lastLines(logFile: string): string {
  return readFileSync(logFile, "utf8").trimEnd().split("\n").slice(-8).join("\n");
}
