import { rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { composeDown, ensureComposeService, hasCompose } from "./compose.ts";
import { DATA_DIR, ROOT } from "./environment.ts";
import { stopWithParent } from "./stop-with-parent.ts";
import { ensureLocalPostgres, ensureLocalRedis, findLocal, type Up } from "./local.ts";
import { withLock } from "./lock.ts";
import { recall } from "./memory.ts";
import { reportOnStderr, type Report } from "./report.ts";

/** PostgreSQL and Redis, both ready. */
export interface Services {
  databaseUrl: string;
  redisUrl: string;
  /** Where the services run; `environment` only if both URLs are set. */
  origin: "environment" | "compose" | "local";
  /** Stops the services that this call started. */
  stop(): Promise<void>;
}

export interface ServicesOptions {
  dataDir?: string;
  env?: Readonly<Record<string, string | undefined>>;
  report?: Report;
  /** Stops the services when this process ends, even by kill -9. Otherwise they run until stopServices(). */
  isTemporary?: boolean;
}

/**
 * Starts the services without a URL in the environment, with Docker Compose if Docker is running, otherwise with the
 * machine's own programs. Running services are reused; concurrent calls are serialised.
 *
 * @throws Error of one line that names the missing package
 */
export async function ensureServices(options: ServicesOptions = {}): Promise<Services> {
  const { dataDir = DATA_DIR, env = process.env, report = reportOnStderr, isTemporary = false } = options;
  const given = { database: env["DATABASE_URL"]?.trim(), redis: env["REDIS_URL"]?.trim() };
  if (given.database && given.redis) {
    return { databaseUrl: given.database, redisUrl: given.redis, origin: "environment", stop: async () => undefined };
  }
  return withLock(join(dataDir, "services.lock"), async () => {
    const origin = (await hasCompose()) ? "compose" : "local";
    const up: Up[] = [];
    let cancelStop = (): void => undefined;
    const stop = async () => {
      for (const { started } of up.toReversed()) await started?.stop();
      cancelStop();
    };
    const ensure = async (url: string | undefined, start: () => Promise<Up>): Promise<string> => {
      if (url) return url;
      const service = await start();
      up.push(service);
      return service.url;
    };
    try {
      const databaseUrl = await ensure(given.database, () =>
        origin === "compose"
          ? ensureComposeService(ROOT, dataDir, "postgres", report)
          : ensureLocalPostgres(dataDir, report),
      );
      const redisUrl = await ensure(given.redis, () =>
        origin === "compose" ? ensureComposeService(ROOT, dataDir, "redis", report) : ensureLocalRedis(dataDir, report),
      );
      const stoppable = up.flatMap(({ started }) => started?.stoppable ?? []);
      if (isTemporary && stoppable.length > 0) cancelStop = stopWithParent(stoppable);
      return { databaseUrl, redisUrl, origin, stop };
    } catch (error) {
      await stop();
      throw error;
    }
  });
}

/** Stops all services of this checkout. @returns the names of the stopped services */
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

/** Stops the services and removes their data. */
export async function destroyServices(dataDir = DATA_DIR): Promise<void> {
  await stopServices(dataDir);
  if (usesCompose(dataDir)) {
    if (!(await hasCompose()))
      throw new Error("the data is in Docker volumes, and Docker is not running: start it, or remove .data by hand");
    await composeDown(ROOT, true);
  }
  for (const name of ["postgres", "redis"] as const) {
    const elsewhere = recall(dataDir, name)?.elsewhere;
    // The parent folder was created for this server only.
    if (elsewhere) rmSync(dirname(elsewhere), { recursive: true, force: true });
  }
  rmSync(dataDir, { recursive: true, force: true });
}

/** Whether this checkout has ever used Docker Compose. */
const usesCompose = (dataDir: string): boolean =>
  recall(dataDir, "compose-postgres") !== undefined || recall(dataDir, "compose-redis") !== undefined;
