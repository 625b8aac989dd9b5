import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";

/** The account that a server process runs as. */
export interface Account {
  uid: number;
  gid: number;
}

export interface Ran {
  /** As in a shell: 127 if the program does not exist, 124 after a timeout. */
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

/** Runs a program to its end. Never throws; errors are in `code`. */
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
    // EPERM: it is alive and belongs to another account.
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
  return !isZombie(pid);
}

/** A zombie has exited and waits to be reaped. In a container without an init process it stays for ever. */
function isZombie(pid: number): boolean {
  try {
    return /^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}

/** The command line of a process, or "" if it has exited. Used to check that a recorded pid was not reused. */
export async function commandOf(pid: number): Promise<string> {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").trim();
  } catch {
    return (await run("ps", ["-o", "command=", "-p", String(pid)])).stdout;
  }
}

/**
 * When a process started, in no certain unit, or "" if it has exited. Pids are used again, in containers with the same
 * command lines too.
 */
export async function startOf(pid: number): Promise<string> {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The 22nd field. The second one is the program's name, in which spaces and parentheses may be.
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19]!;
  } catch {
    // The same text for every caller.
    const env = { ...process.env, LC_ALL: "C", TZ: "UTC" };
    return (await run("ps", ["-o", "lstart=", "-p", String(pid)], { env })).stdout;
  }
}

/** Sends a signal. A process that has already exited is not an error. */
export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

/** @returns whether the process exited before the deadline */
export async function waitForExit(pid: number, deadlineMs: number): Promise<boolean> {
  const deadline = Date.now() + deadlineMs;
  while (isAlive(pid)) {
    if (Date.now() > deadline) return false;
    await pause(20);
  }
  return true;
}

/** Ends a process with a sequence of signals, each with its own timeout. */
export async function end(pid: number, ...steps: [NodeJS.Signals, number][]): Promise<void> {
  for (const [name, timeoutMs] of steps) {
    signal(pid, name);
    if (await waitForExit(pid, timeoutMs)) return;
  }
  throw new Error(`process ${pid} did not exit`);
}
