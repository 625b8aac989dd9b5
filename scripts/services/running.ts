import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { giveToOwnerOfFolder } from "./account.ts";
import { withLock } from "./lock.ts";
import { isAlive, startOf } from "./processes.ts";

/** The process that runs the Postrider of this checkout. */
export interface Running {
  pid: number;
  /** After its end another process may get its pid: in the next container that mounts this checkout, the next Postrider. */
  startedAt: string;
  /** Undefined while it starts. */
  urls?: Urls;
}

interface Urls {
  api: string;
  console: string;
}

export interface Claim {
  publish(urls: Urls): void;
  release(): void;
}

const fileIn = (dataDir: string): string => join(dataDir, "running.json");

export async function findRunning(dataDir: string): Promise<Running | undefined> {
  const file = fileIn(dataDir);
  if (!existsSync(file)) return undefined;
  const running = JSON.parse(readFileSync(file, "utf8")) as Running;
  return isAlive(running.pid) && (await startOf(running.pid)) === running.startedAt ? running : undefined;
}

/** @throws Error of one line that names the running one */
export async function refuseWhileRunning(dataDir: string): Promise<void> {
  const running = await findRunning(dataDir);
  if (running === undefined) return;
  const where = running.urls ? `API ${running.urls.api}, console ${running.urls.console}` : "still starting";
  throw new Error(
    `Postrider runs in this checkout already (process ${running.pid}; ${where}): stop it first, with Ctrl-C in its terminal`,
  );
}

/**
 * Claims this checkout for this process, which stops PostgreSQL and Redis when it ends: a second one would run on
 * without them.
 *
 * @throws Error of one line if another process has claimed them
 */
export function claimCheckout(dataDir: string): Promise<Claim> {
  const file = fileIn(dataDir);
  return withLock(join(dataDir, "running.lock"), async () => {
    await refuseWhileRunning(dataDir);
    const claimed: Running = { pid: process.pid, startedAt: await startOf(process.pid) };
    const publish = (running: Running) => {
      mkdirSync(dirname(file), { recursive: true });
      const unfinished = `${file}.${process.pid}`;
      writeFileSync(unfinished, `${JSON.stringify(running, null, 2)}\n`);
      giveToOwnerOfFolder(unfinished);
      renameSync(unfinished, file);
    };
    publish(claimed);
    return {
      publish: (urls) => publish({ ...claimed, urls }),
      release: () => rmSync(file, { force: true }),
    };
  });
}
