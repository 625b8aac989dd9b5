import { parseArgs } from "node:util";
import { Redis } from "ioredis";
import { DATA_DIR, destroyServices, readEnvironment } from "./services/index.ts";
import { findLocal } from "./services/local.ts";
import { withClient } from "./services/postgres-server.ts";

const HELP = `Usage: npm run reset [-- --yes]

Back to nothing: stops the local services and removes .data/ (or the Docker volumes), with every event and secret in it.

  --yes  where DATABASE_URL or REDIS_URL is set: empties that database (schema public) and that Redis database
`;

/** Processes of ours that work on the database at the moment. */
async function whoUses(databaseUrl: string): Promise<string[]> {
  return withClient(databaseUrl, async (client) => {
    const { rows } = await client.query<{ name: string }>(
      `select distinct application_name as name from pg_stat_activity
       where datname = current_database() and application_name like 'postrider-%' and pid <> pg_backend_pid()`,
    );
    return rows.map(({ name }) => name);
  });
}

async function refuseWhileRunning(databaseUrl: string): Promise<void> {
  const users = await whoUses(databaseUrl);
  if (users.length > 0) throw new Error(`${users.join(", ")} still running: stop Postrider first`);
}

async function emptyGiven(databaseUrl: string | undefined, redisUrl: string | undefined): Promise<void> {
  if (databaseUrl) {
    await refuseWhileRunning(databaseUrl);
    await withClient(databaseUrl, (client) => client.query("drop schema public cascade; create schema public"));
    console.log("emptied the database that DATABASE_URL names");
  }
  if (redisUrl) {
    const redis = new Redis(redisUrl, { lazyConnect: true, maxRetriesPerRequest: 0, retryStrategy: () => null });
    try {
      await redis.connect();
      await redis.flushdb();
    } finally {
      redis.disconnect();
    }
    console.log("emptied the Redis database that REDIS_URL names");
  }
}

async function reset(yes: boolean): Promise<void> {
  const env = readEnvironment();
  const [databaseUrl, redisUrl] = [env["DATABASE_URL"]?.trim(), env["REDIS_URL"]?.trim()];
  if ((databaseUrl || redisUrl) && !yes) {
    throw new Error("DATABASE_URL or REDIS_URL is set: add --yes to empty what they name (npm run reset -- --yes)");
  }
  for (const { name, url } of await findLocal(DATA_DIR)) if (name === "postgres") await refuseWhileRunning(url);
  await emptyGiven(databaseUrl, redisUrl);
  await destroyServices();
  console.log("removed .data");
}

const { values } = parseArgs({ options: { help: { type: "boolean", short: "h" }, yes: { type: "boolean" } } });
if (values.help) {
  console.log(HELP);
  process.exit(0);
}
try {
  await reset(values.yes ?? false);
} catch (error) {
  console.error(`not reset: ${(error as Error).message}`);
  process.exit(1);
}
