import { existsSync, globSync } from "node:fs";
import { delimiter, join } from "node:path";
import { run } from "./processes.ts";

/** The folders to search: those of PATH, and patterns of folders where systems install PostgreSQL outside of PATH. */
export interface Search {
  path: string;
  patterns: readonly string[];
}

export const DEFAULT_SEARCH: Search = {
  get path() {
    return process.env["PATH"] ?? "";
  },
  patterns: [
    "/usr/lib/postgresql/*/bin", // Debian, Ubuntu
    "/usr/pgsql-*/bin", // Red Hat
    "/opt/homebrew/opt/postgresql*/bin", // Homebrew on Apple silicon
    "/usr/local/opt/postgresql*/bin", // Homebrew on Intel
    "/Applications/Postgres.app/Contents/Versions/*/bin",
    "/opt/homebrew/bin",
    "/usr/local/bin",
    "/usr/bin",
    "/usr/sbin",
  ],
};

export interface PostgresBinaries {
  major: number;
  postgres: string;
  initdb: string;
}

export const MIN_POSTGRES = 15;
export const MIN_REDIS = 7;

/** Finds all PostgreSQL installations of a supported version, newest first. */
export async function findPostgres(search: Search): Promise<PostgresBinaries[]> {
  const found: PostgresBinaries[] = [];
  for (const folder of foldersOf(search)) {
    const [postgres, initdb] = [join(folder, "postgres"), join(folder, "initdb")];
    if (!existsSync(postgres) || !existsSync(initdb)) continue;
    const major = majorIn((await run(postgres, ["--version"])).stdout, /PostgreSQL\) (\d+)/);
    if (major >= MIN_POSTGRES) found.push({ major, postgres, initdb });
  }
  return found.sort((a, b) => b.major - a.major);
}

/** Finds the first redis-server of a supported version. */
export async function findRedis(search: Search): Promise<string | undefined> {
  for (const folder of foldersOf(search)) {
    const server = join(folder, "redis-server");
    if (existsSync(server) && majorIn((await run(server, ["--version"])).stdout, /v=(\d+)/) >= MIN_REDIS) return server;
  }
  return undefined;
}

/** Debian has them in /usr/sbin, which is not on the PATH of every account. */
export const findProgram = (name: "nginx" | "pgbouncer", search: Search): string | undefined =>
  foldersOf(search)
    .map((folder) => join(folder, name))
    .find((path) => existsSync(path));

function foldersOf({ path, patterns }: Search): string[] {
  return [...new Set([...path.split(delimiter).filter(Boolean), ...globSync(patterns)])];
}

const majorIn = (version: string, pattern: RegExp): number => Number(pattern.exec(version)?.[1] ?? 0);
