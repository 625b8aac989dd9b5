import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";

/** The account that a server process runs as. */
export interface Account {
  uid: number;
  gid: number;
}

export interface Ran {
  /** 127 where the program does not exist, as in a shell; 124 where it took too long. */
  code: number;
  stdout: string;
  stderr: string;
}

export interface RunOptions {
  account?: Account | undefined;
  env?: Record<string, string | undefined>;
  cwd?: string;
  timeoutMs?: number;
}

/** Runs a program to its end. Never throws: what went wrong is in the code. */
export function run(program: string, args: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const { account, env = process.env, cwd = "/", timeoutMs = 0 } = options;
  return new Promise((resolve) => {
    const settings = { ...account, env, cwd, timeout: timeoutMs, maxBuffer: 16 * 1024 * 1024 };
    execFile(program, args, settings, (error, stdout, stderr) => {
      const code = error === null ? 0 : error.killed ? 124 : typeof error.code === "number" ? error.code : 127;
      resolve({ code, stdout: stdout.trim(), stderr: stderr.trim() });
    });
  });
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    // EPERM: it lives and is somebody else's.
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
  return !isZombie(pid);
}

/**
 * Ended, and only waits for its parent to take note: where nobody reaps orphans (a bare container) it stays so for
 * ever.
 */
function isZombie(pid: number): boolean {
  try {
    return /^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}

/** The command line of a process, or "" where it is gone. Tells whether a recorded pid still means what it meant. */
export async function commandOf(pid: number): Promise<string> {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").trim();
  } catch {
    return (await run("ps", ["-o", "command=", "-p", String(pid)])).stdout;
  }
}

/** Sends a signal; a process that is gone already is no error. */
export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

/** @returns whether the process was gone before the deadline */
export async function waitForExit(pid: number, deadlineMs: number): Promise<boolean> {
  const deadline = Date.now() + deadlineMs;
  while (isAlive(pid)) {
    if (Date.now() > deadline) return false;
    await pause(20);
  }
  return true;
}

/** Asks a process to end, each signal with its own patience, until it is gone. */
export async function end(pid: number, ...steps: [NodeJS.Signals, number][]): Promise<void> {
  for (const [name, patienceMs] of steps) {
    signal(pid, name);
    if (await waitForExit(pid, patienceMs)) return;
  }
  throw new Error(`process ${pid} does not end`);
}
