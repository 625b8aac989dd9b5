import { rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { composeDown, ensureComposeService, hasCompose } from "./compose.ts";
import { DATA_DIR, ROOT } from "./environment.ts";
import { leash } from "./leash.ts";
import { ensureLocalPostgres, ensureLocalRedis, findLocal, type Up } from "./local.ts";
import { withLock } from "./lock.ts";
import { recall } from "./memory.ts";
import { sayOnStderr, type Say } from "./say.ts";

/** PostgreSQL and Redis, both answering. */
export interface Services {
  databaseUrl: string;
  redisUrl: string;
  /** Where they come from; `environment` only where both do. */
  origin: "environment" | "compose" | "local";
  /** Stops what this call started, and nothing that ran before. */
  stop(): Promise<void>;
}

export interface ServicesOptions {
  dataDir?: string;
  env?: Readonly<Record<string, string | undefined>>;
  say?: Say;
  /** They end when this process does, even by kill -9. Otherwise they go on until somebody stops them. */
  tied?: boolean;
}

/**
 * Brings up what the environment does not name: by Docker Compose where an engine answers, else with the machine's own
 * programs. Finds what already runs; calls at the same time wait for each other.
 *
 * @throws Error that says in one line what to install
 */
export async function ensureServices(options: ServicesOptions = {}): Promise<Services> {
  const { dataDir = DATA_DIR, env = process.env, say = sayOnStderr, tied = false } = options;
  const given = { database: env["DATABASE_URL"]?.trim(), redis: env["REDIS_URL"]?.trim() };
  if (given.database && given.redis) {
    return { databaseUrl: given.database, redisUrl: given.redis, origin: "environment", stop: async () => undefined };
  }
  return withLock(join(dataDir, "services.lock"), async () => {
    const origin = (await hasCompose()) ? "compose" : "local";
    const up: Up[] = [];
    let letGo = (): void => undefined;
    const stop = async () => {
      for (const { started } of up.toReversed()) await started?.stop();
      letGo();
    };
    const ensure = async (url: string | undefined, start: () => Promise<Up>): Promise<string> => {
      if (url) return url;
      const service = await start();
      up.push(service);
      return service.url;
    };
    try {
      const databaseUrl = await ensure(given.database, () =>
        origin === "compose" ? ensureComposeService(ROOT, dataDir, "postgres", say) : ensureLocalPostgres(dataDir, say),
      );
      const redisUrl = await ensure(given.redis, () =>
        origin === "compose" ? ensureComposeService(ROOT, dataDir, "redis", say) : ensureLocalRedis(dataDir, say),
      );
      const leashed = up.flatMap(({ started }) => started?.leashed ?? []);
      if (tied && leashed.length > 0) letGo = leash(leashed);
      return { databaseUrl, redisUrl, origin, stop };
    } catch (error) {
      await stop();
      throw error;
    }
  });
}

/** Stops the services of this checkout, whoever started them. @returns the names of those that ran */
export async function stopServices(dataDir = DATA_DIR): Promise<string[]> {
  return withLock(join(dataDir, "services.lock"), async () => {
    const running = await findLocal(dataDir);
    for (const { stop } of running) await stop();
    const names = running.map(({ name }) => name as string);
    if (usesCompose(dataDir) && (await hasCompose())) {
      await composeDown(ROOT, false);
      names.push("containers");
    }
    return names;
  });
}

/** Stops the services and removes all that they keep. */
export async function destroyServices(dataDir = DATA_DIR): Promise<void> {
  await stopServices(dataDir);
  if (usesCompose(dataDir)) {
    if (!(await hasCompose()))
      throw new Error("the data is in Docker volumes, and Docker does not answer: start it, or remove .data by hand");
    await composeDown(ROOT, true);
  }
  for (const name of ["postgres", "redis"] as const) {
    const elsewhere = recall(dataDir, name)?.elsewhere;
    // The folder that was made for it holds nothing else.
    if (elsewhere) rmSync(dirname(elsewhere), { recursive: true, force: true });
  }
  rmSync(dataDir, { recursive: true, force: true });
}

/** Whether Docker Compose has ever served this checkout. */
const usesCompose = (dataDir: string): boolean =>
  recall(dataDir, "compose-postgres") !== undefined || recall(dataDir, "compose-redis") !== undefined;
