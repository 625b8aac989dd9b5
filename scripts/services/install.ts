import { existsSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isRoot } from "./account.ts";
import {
  findPostgres,
  findRedis,
  OLDEST_POSTGRES,
  OLDEST_REDIS,
  USUAL_PLACES,
  type PostgresBinaries,
  type Search,
} from "./binaries.ts";
import { withLock } from "./lock.ts";
import { run } from "./processes.ts";
import type { Say } from "./say.ts";

/** How to get what is missing. Replaced in tests. */
interface Machine {
  search: Search;
  canInstall: () => boolean;
}

const THIS_MACHINE: Machine = {
  search: USUAL_PLACES,
  canInstall: () => isRoot() && existsSync("/usr/bin/apt-get"),
};

/**
 * Finds PostgreSQL, or installs it where that is possible (Debian or Ubuntu, as root).
 *
 * @param major only this one will do: data can be read by the major version that wrote it alone
 * @throws Error that says in one line what to install
 */
export async function needPostgres(say: Say, major?: number, machine = THIS_MACHINE): Promise<PostgresBinaries> {
  const find = async () =>
    (await findPostgres(machine.search)).find((found) => major === undefined || found.major === major);
  const version = major === undefined ? `${OLDEST_POSTGRES} or newer` : `${major} (which wrote the data here)`;
  return need(
    `PostgreSQL ${version}`,
    major === undefined ? "postgresql" : `postgresql-${major}`,
    "DATABASE_URL",
    find,
    say,
    machine,
  );
}

/** Finds Redis, or installs it, like PostgreSQL. */
export async function needRedis(say: Say, machine = THIS_MACHINE): Promise<string> {
  return need(
    `Redis ${OLDEST_REDIS} or newer`,
    "redis-server",
    "REDIS_URL",
    () => findRedis(machine.search),
    say,
    machine,
  );
}

async function need<T>(
  what: string,
  debianPackage: string,
  setting: string,
  find: () => Promise<T | undefined>,
  say: Say,
  machine: Machine,
): Promise<T> {
  let trouble = "";
  const found = await find();
  if (found !== undefined) return found;
  if (machine.canInstall()) {
    // One at a time on the whole machine; whoever waited looks again first.
    const installed = await withLock(join(tmpdir(), "postrider-install.lock"), async () => {
      const meanwhile = await find();
      if (meanwhile !== undefined) return meanwhile;
      say(`installing ${debianPackage} with apt-get; this takes a minute`);
      trouble = await aptInstall(debianPackage);
      return find();
    });
    if (installed !== undefined) return installed;
  }
  const because = trouble && ` (apt-get: ${trouble})`;
  throw new Error(
    `${what} was not found${because}: install it (on Debian or Ubuntu: ${debianPackage}), start Docker, or set ${setting}`,
  );
}

/** Debian's own word on whether a package's services may be started: 101 is no. */
const POLICY = "/usr/sbin/policy-rc.d";

/** @returns what went wrong, in one line, or "" */
async function aptInstall(debianPackage: string): Promise<string> {
  // We want the programs, and not a server on the usual port that nobody has asked for.
  const isOurPolicy = !existsSync(POLICY);
  if (isOurPolicy) writeFileSync(POLICY, "#!/bin/sh\nexit 101\n", { mode: 0o755 });
  try {
    const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
    // Lists that cannot be refreshed may still be good enough to install from.
    await run("apt-get", ["update", "-q"], { env });
    const { code, stderr } = await run("apt-get", ["install", "-y", "-q", "--no-install-recommends", debianPackage], {
      env,
    });
    return code === 0 ? "" : (stderr.split("\n").at(-1) ?? `exit code ${code}`);
  } finally {
    if (isOurPolicy) rmSync(POLICY, { force: true });
  }
}
