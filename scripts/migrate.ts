import { migrate } from "../packages/shared/src/store/migrate.ts";
import { readArguments } from "./arguments.ts";
import { readEnvironment } from "./services/environment.ts";

const HELP = `Usage: npm run migrate

Migrates a database to the schema of this version: the one in DATABASE_URL, otherwise the local one, which is started
for that. Running it twice is harmless.
`;

/** Imports the local services only if needed: a container sets DATABASE_URL and lacks the programs to start them. */
async function database(): Promise<{ url: string; stop: () => Promise<void> }> {
  const env = readEnvironment();
  const url = env["DATABASE_URL"];
  if (url) return { url, stop: async () => undefined };
  const { ensureServices } = await import("./services/ensure-services.ts");
  const services = await ensureServices({ env, isTemporary: true });
  return { url: services.databaseUrl, stop: () => services.stop() };
}

readArguments(HELP, {});
try {
  const { url, stop } = await database();
  try {
    const { applied, partitions, indexes } = await migrate(url);
    console.log(
      `${applied} migrations applied, ${indexes.length} indexes built, ${partitions.length} partitions created`,
    );
    for (const name of [...indexes, ...partitions]) console.log(`  ${name}`);
  } finally {
    await stop();
  }
} catch (error) {
  console.error(`could not migrate: ${(error as Error).message}`);
  process.exit(1);
}
