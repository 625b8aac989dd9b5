import { readArguments, refuseArguments } from "./arguments.ts";
import { DATA_DIR, ensureServices, readEnvironment, stopServices } from "./services/index.ts";
import { findLocal } from "./services/local.ts";
import { refuseWhileRunning } from "./services/running.ts";

const HELP = `Usage: npm run services -- up | down | status

PostgreSQL and Redis for this checkout, with their data in .data/.

  up      starts the services without a DATABASE_URL or REDIS_URL, with Docker Compose if Docker is running, otherwise
          with the machine's own programs; prints the URLs; the services run until "down"
  down    stops them; the data stays
  status  prints the running services (exit code 3 if there are none)
`;

const commands: Record<string, () => Promise<number>> = {
  async up() {
    const { databaseUrl, redisUrl, origin } = await ensureServices({ env: readEnvironment() });
    console.log(`DATABASE_URL=${databaseUrl}\nREDIS_URL=${redisUrl}\n# from: ${origin}`);
    return 0;
  },
  async down() {
    await refuseWhileRunning(DATA_DIR);
    const stopped = await stopServices();
    console.log(stopped.length > 0 ? `stopped: ${stopped.join(", ")}` : "nothing was running");
    return 0;
  },
  async status() {
    const running = await findLocal(DATA_DIR);
    for (const { name, url } of running) console.log(`${name} ${url}`);
    if (running.length === 0) console.log("no local service is running");
    return running.length > 0 ? 0 : 3;
  },
};

const { positionals } = readArguments(HELP, {}, { positionals: true });
const name = positionals.join(" ");
const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
if (command === undefined)
  refuseArguments(name === "" ? "A command is missing" : `There is no command '${name}'`, HELP);
try {
  process.exit(await command());
} catch (error) {
  console.error((error as Error).message);
  process.exit(1);
}
