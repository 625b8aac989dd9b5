import { randomUUID } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmdirSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { isAlive } from "./processes.ts";

/**
 * A holder touches its lock this often, and one that has not for STALE_MS is gone though another process has its pid
 * now.
 */
const TOUCH_MS = 2_000;
const STALE_MS = 20_000;

/**
 * Does the work while no other process (nor another call in this one) holds the lock file. A dead holder's lock is
 * taken over.
 */
export async function withLock<T>(file: string, work: () => Promise<T>): Promise<T> {
  const token = `${process.pid} ${randomUUID()}`;
  mkdirSync(dirname(file), { recursive: true });
  while (!tryTake(file, token)) {
    if (isStale(file)) takeAway(file);
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

function tryTake(file: string, token: string): boolean {
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
  // A lock without a holder is being written right now.
  return age !== undefined && (age > STALE_MS || (holder > 0 && !isAlive(holder)));
}

/** Two waiters must not both remove it: the second would remove the lock that the first has just taken. */
function takeAway(file: string): void {
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
