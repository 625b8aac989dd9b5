import { migrate } from "../../packages/shared/src/store/migrate.ts";
import { type Database, openDatabase } from "../support/database.ts";
import type { Comparison } from "../support/rounds.ts";
import type { Bench, Suite } from "./suite.ts";

/** A suite on a database of its own, which has Postrider's tables. */
export function scenario(
  name: string,
  about: string,
  compare: (bench: Bench, database: Database) => Promise<Comparison[]>,
): Suite {
  return {
    name,
    about,
    run: (bench) => withDatabase(bench, name, (database) => compare(bench, database)),
  };
}

/** Runs `work` with an empty database that has Postrider's tables. @param name its own within a run */
export async function withDatabase<T>(
  bench: Bench,
  name: string,
  work: (database: Database) => Promise<T>,
): Promise<T> {
  const database = await makeDatabase(bench, name);
  try {
    return await work(database);
  } finally {
    await database.close();
  }
}

/** As withDatabase(), for the caller to close. */
export async function makeDatabase({ servers }: Bench, name: string): Promise<Database> {
  const url = await servers.createDatabase(`bench_${name.replaceAll("-", "_")}`);
  await migrate(url);
  return openDatabase(url);
}
