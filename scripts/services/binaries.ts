import { existsSync, globSync } from "node:fs";
import { delimiter, join } from "node:path";
import { run } from "./processes.ts";

/** Where to look: the folders of PATH, and the patterns of folders in which systems keep PostgreSQL outside of PATH. */
export interface Search {
  path: string;
  patterns: readonly string[];
}

export const USUAL_PLACES: Search = {
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

export const OLDEST_POSTGRES = 15;
export const OLDEST_REDIS = 7;

/** Every PostgreSQL that is new enough, the newest first. */
export async function findPostgres(search: Search): Promise<PostgresBinaries[]> {
  const found: PostgresBinaries[] = [];
  for (const folder of foldersOf(search)) {
    const [postgres, initdb] = [join(folder, "postgres"), join(folder, "initdb")];
    if (!existsSync(postgres) || !existsSync(initdb)) continue;
    const major = majorIn((await run(postgres, ["--version"])).stdout, /PostgreSQL\) (\d+)/);
    if (major >= OLDEST_POSTGRES) found.push({ major, postgres, initdb });
  }
  return found.sort((a, b) => b.major - a.major);
}

/** The first redis-server that is new enough. */
export async function findRedis(search: Search): Promise<string | undefined> {
  for (const folder of foldersOf(search)) {
    const server = join(folder, "redis-server");
    if (existsSync(server) && majorIn((await run(server, ["--version"])).stdout, /v=(\d+)/) >= OLDEST_REDIS)
      return server;
  }
  return undefined;
}

function foldersOf({ path, patterns }: Search): string[] {
  return [...new Set([...path.split(delimiter).filter(Boolean), ...globSync(patterns)])];
}

const majorIn = (version: string, pattern: RegExp): number => Number(pattern.exec(version)?.[1] ?? 0);
