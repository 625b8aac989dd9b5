import { Redis } from "ioredis";
import { readArguments } from "./arguments.ts";
import { DATA_DIR, destroyServices, readEnvironment } from "./services/index.ts";
import { findLocal } from "./services/local.ts";
import { withClient } from "./services/postgres-server.ts";
import { refuseWhileRunning } from "./services/running.ts";

const HELP = `Usage: npm run reset [-- --yes]

Stops the local services and removes .data/ (or the Docker volumes), including all events and secrets.

  --yes  empties the database in DATABASE_URL (schema public) and the Redis database in REDIS_URL, if they are set
`;

/** The names of the Postrider processes that are connected to the database. */
async function findConnectedApps(databaseUrl: string): Promise<string[]> {
  return withClient(databaseUrl, async (client) => {
    const { rows } = await client.query<{ name: string }>(
      `select distinct application_name as name from pg_stat_activity
       where datname = current_database() and application_name like 'postrider-%' and pid <> pg_backend_pid()`,
    );
    return rows.map(({ name }) => name);
  });
}

async function refuseWhileConnected(databaseUrl: string): Promise<void> {
  const apps = await findConnectedApps(databaseUrl);
  if (apps.length > 0) throw new Error(`${apps.join(", ")} still running: stop Postrider first`);
}

async function emptyConfigured(databaseUrl: string | undefined, redisUrl: string | undefined): Promise<void> {
  if (databaseUrl) {
    await refuseWhileConnected(databaseUrl);
    await withClient(databaseUrl, (client) => client.query("drop schema public cascade; create schema public"));
    console.log("emptied the database in DATABASE_URL");
  }
  if (redisUrl) {
    const redis = new Redis(redisUrl, { lazyConnect: true, maxRetriesPerRequest: 0, retryStrategy: () => null });
    try {
      await redis.connect();
      await redis.flushdb();
    } finally {
      redis.disconnect();
    }
    console.log("emptied the Redis database in REDIS_URL");
  }
}

async function reset(yes: boolean): Promise<void> {
  const env = readEnvironment();
  const [databaseUrl, redisUrl] = [env["DATABASE_URL"], env["REDIS_URL"]];
  if ((databaseUrl || redisUrl) && !yes) {
    throw new Error("DATABASE_URL or REDIS_URL is set: add --yes to empty these databases (npm run reset -- --yes)");
  }
  await refuseWhileRunning(DATA_DIR);
  for (const { name, url } of await findLocal(DATA_DIR)) if (name === "postgres") await refuseWhileConnected(url);
  await emptyConfigured(databaseUrl, redisUrl);
  await destroyServices();
  console.log("removed .data");
}

const { values } = readArguments(HELP, { yes: { type: "boolean" } });
try {
  await reset(values.yes ?? false);
} catch (error) {
  console.error(`could not reset: ${(error as Error).message}`);
  process.exit(1);
}
