import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createDatabase } from "../servers/database.ts";
import { claimRedis } from "../servers/redis.ts";
import type { TestServers } from "../servers/test-servers.ts";
import { localSettings, SHORT_TIMES } from "./settings.ts";
import { Stack } from "./stack.ts";

/** How test processes reach a stack that runs in another process. */
export interface SharedStack {
  apiUrl: string;
  apiKey: string;
  redisUrl: string;
  /** Holds one log file for each process. */
  logFolder: string;
}

export const SHARED_WORKERS = 2;

/** One ingest and two workers with the short times, for every test that does not stop or configure processes. */
export async function startSharedStack(
  servers: Pick<TestServers, "postgresUrl" | "redisUrl">,
): Promise<SharedStack & { stop: () => Promise<void> }> {
  const [database, redis] = await Promise.all([createDatabase(servers.postgresUrl), claimRedis(servers.redisUrl)]);
  const logFolder = mkdtempSync(join(tmpdir(), "postrider-shared-stack-"));
  const stack = await Stack.prepare({
    env: { ...localSettings(database.url, redis.url), ...SHORT_TIMES },
    processes: { logFolder },
  });
  const shared = { apiUrl: stack.api.baseUrl, apiKey: stack.api.key, redisUrl: redis.url, logFolder };
  await Promise.all([stack.startIngest(), stack.startWorkers(SHARED_WORKERS)]).catch((error: Error) => {
    stack.abandon();
    throw new Error(`${error.message}\n${lastLogs(logFolder)}`, { cause: error });
  });
  return {
    ...shared,
    async stop() {
      const troubles = await stack.stop();
      const logs = troubles.length > 0 ? lastLogs(logFolder) : "";
      await Promise.all([database.drop(), redis.release()]);
      rmSync(logFolder, { recursive: true, force: true });
      if (troubles.length > 0) throw new Error(`${troubles.join("\n")}\n${logs}`);
    },
  };
}

const SHOWN_LINES = 60;

/** The last lines of every process. */
export function lastLogs(logFolder: string): string {
  return readdirSync(logFolder)
    .map((file) => {
      const lines = readFileSync(join(logFolder, file), "utf8").trimEnd().split("\n");
      return `── ${file} ──\n${lines.slice(-SHOWN_LINES).join("\n")}`;
    })
    .join("\n");
}
