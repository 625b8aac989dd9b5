import { existsSync, rmSync, writeFileSync } from "node:fs";
import { isRoot } from "./account.ts";
import {
  findPostgres,
  findProgram,
  findRedis,
  MIN_POSTGRES,
  MIN_REDIS,
  DEFAULT_SEARCH,
  type PostgresBinaries,
  type Search,
} from "./binaries.ts";
import { withLock } from "./lock.ts";
import { run } from "./processes.ts";
import type { Report } from "./report.ts";

/** Where to find programs and whether they can be installed. Replaced in tests. */
interface Machine {
  search: Search;
  canInstall: () => boolean;
}

const THIS_MACHINE: Machine = {
  search: DEFAULT_SEARCH,
  canInstall: () => isRoot() && existsSync("/usr/bin/apt-get"),
};

/**
 * Finds PostgreSQL, or installs it (on Debian or Ubuntu, as root).
 *
 * @param major the required major version: only the version that wrote the data can read it
 * @throws Error of one line that names the missing package
 */
export async function needPostgres(report: Report, major?: number, machine = THIS_MACHINE): Promise<PostgresBinaries> {
  const find = async () =>
    (await findPostgres(machine.search)).find((found) => major === undefined || found.major === major);
  const version = major === undefined ? `${MIN_POSTGRES} or newer` : `${major} (which wrote the existing data)`;
  return need(
    `PostgreSQL ${version}`,
    major === undefined ? "postgresql" : `postgresql-${major}`,
    ", start Docker, or set DATABASE_URL",
    find,
    report,
    machine,
  );
}

/** Finds Redis or installs it, like PostgreSQL. */
export async function needRedis(report: Report, machine = THIS_MACHINE): Promise<string> {
  return need(
    `Redis ${MIN_REDIS} or newer`,
    "redis-server",
    ", start Docker, or set REDIS_URL",
    () => findRedis(machine.search),
    report,
    machine,
  );
}

/** Only root can write there. In the temporary folder anybody could create it first. */
const INSTALL_LOCK = "/run/postrider-install.lock";

/** Whether PostgreSQL and Redis are installed. Installs neither. */
export async function hasServers({ search } = THIS_MACHINE): Promise<boolean> {
  return (await findPostgres(search)).length > 0 && (await findRedis(search)) !== undefined;
}

/** Finds a program or installs it, like PostgreSQL. Only tests use them. */
export async function needProgram(name: "nginx" | "pgbouncer", machine = THIS_MACHINE): Promise<string> {
  return need(
    name,
    name,
    "",
    async () => findProgram(name, machine.search),
    () => undefined,
    machine,
  );
}

/** @returns undefined where the program is found or can be installed, or why not */
export const whyNoProgram = (name: "nginx" | "pgbouncer"): Promise<string | undefined> =>
  needProgram(name).then(
    () => undefined,
    (error: Error) => error.message,
  );

async function need<T>(
  what: string,
  debianPackage: string,
  alternative: string,
  find: () => Promise<T | undefined>,
  report: Report,
  machine: Machine,
): Promise<T> {
  let failure = "";
  const found = await find();
  if (found !== undefined) return found;
  if (machine.canInstall()) {
    // Installations are serialised on the whole machine. Another process may have installed it meanwhile.
    const installed = await withLock(INSTALL_LOCK, async () => {
      const meanwhile = await find();
      if (meanwhile !== undefined) return meanwhile;
      report(`installing ${debianPackage} with apt-get; this takes a minute`);
      failure = await aptInstall(debianPackage);
      return find();
    });
    if (installed !== undefined) return installed;
  }
  const because = failure && ` (apt-get: ${failure})`;
  throw new Error(`${what} was not found${because}: install it (on Debian or Ubuntu: ${debianPackage})${alternative}`);
}

/** Debian asks this script whether a package may start its services. Exit code 101 refuses. */
const POLICY = "/usr/sbin/policy-rc.d";

/** @returns the error in one line, or "" */
async function aptInstall(debianPackage: string): Promise<string> {
  // Only the programs are needed, not a running server on the default port.
  const isOurPolicy = !existsSync(POLICY);
  if (isOurPolicy) writeFileSync(POLICY, "#!/bin/sh\nexit 101\n", { mode: 0o755 });
  try {
    const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
    // If this fails, the existing lists may still be usable.
    await run("apt-get", ["update", "-q"], { env });
    const { code, stderr } = await run("apt-get", ["install", "-y", "-q", "--no-install-recommends", debianPackage], {
      env,
    });
    return code === 0 ? "" : (stderr.split("\n").at(-1) ?? `exit code ${code}`);
  } finally {
    if (isOurPolicy) rmSync(POLICY, { force: true });
  }
}
