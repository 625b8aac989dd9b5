import { migrate } from "../../../packages/shared/src/db/migrate.ts";
import { type Database, openDatabase } from "../../support/database.ts";
import type { FleetKind } from "../../support/fleet.ts";
import type { Comparison } from "../../support/rounds.ts";
import type { Bench, Suite } from "../suite.ts";

/** Longer than a slow subscriber takes, so that it is slow and not dead. */
const TIMES = { DELIVERY_TIMEOUT: "15s", SHUTDOWN_DEADLINE: "20s" };

/** Postrider as it is. */
export const ISOLATED: FleetKind = { env: TIMES };

/** A question of its own, answered on a database of its own. */
export function scenario(
  name: string,
  about: string,
  compare: (bench: Bench, database: Database) => Promise<Comparison[]>,
): Suite {
  return {
    name: `isolation-${name}`,
    about,
    async run(bench) {
      const url = await bench.servers.createDatabase(`bench_isolation_${name.replaceAll("-", "_")}`);
      await migrate(url);
      const database = await openDatabase(url);
      try {
        return await compare(bench, database);
      } finally {
        await database.close();
      }
    },
  };
}
