import { randomUUID } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmdirSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { isAlive } from "./processes.ts";

/**
 * A holder touches its lock this often. A lock that was not touched for STALE_MS is stale, even if its pid is in use
 * again.
 */
const TOUCH_MS = 2_000;
const STALE_MS = 20_000;

/** Runs the work under a lock file, exclusively among all processes and calls. Takes over the lock of a dead holder. */
export async function withLock<T>(file: string, work: () => Promise<T>): Promise<T> {
  const token = `${process.pid} ${randomUUID()}`;
  mkdirSync(dirname(file), { recursive: true });
  while (!tryAcquire(file, token)) {
    if (isStale(file)) removeStale(file);
    await pause(50);
  }
  const touch = setInterval(() => existsSync(file) && utimesSync(file, new Date(), new Date()), TOUCH_MS);
  try {
    return await work();
  } finally {
    clearInterval(touch);
    if (read(file) === token) rmSync(file, { force: true });
  }
}

function tryAcquire(file: string, token: string): boolean {
  try {
    writeFileSync(file, token, { flag: "wx" });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

function isStale(file: string): boolean {
  const age = ageOf(file);
  const holder = Number.parseInt(read(file) ?? "", 10);
  // A lock without a pid is being written at the moment.
  return age !== undefined && (age > STALE_MS || (holder > 0 && !isAlive(holder)));
}

/** Only one waiter may remove the lock: a second one would remove the lock that the first has just acquired. */
function removeStale(file: string): void {
  const guard = `${file}.takeover`;
  try {
    mkdirSync(guard);
  } catch {
    if ((ageOf(guard) ?? 0) > STALE_MS) rmSync(guard, { recursive: true, force: true });
    return;
  }
  try {
    if (isStale(file)) rmSync(file, { force: true });
  } finally {
    rmdirSync(guard);
  }
}

function ageOf(path: string): number | undefined {
  const found = statSync(path, { throwIfNoEntry: false });
  return found && Date.now() - found.mtimeMs;
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
}
