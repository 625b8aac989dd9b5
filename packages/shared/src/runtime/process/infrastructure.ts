import type { Settings } from "../settings.ts";
import { refuseWrongClock } from "../../store/clock.ts";
import { refuseWrongKey } from "../../store/encryption-key.ts";
import { ensureCurrentPartitions } from "../../store/partitions.ts";
import { createPool } from "../../store/pool.ts";
import { createQueues } from "../../queue/queues.ts";
import { createProducerConnection } from "../../queue/connection.ts";
import { createSecretBox, type SecretBox } from "../../store/secret-box.ts";
import { createLogger } from "../telemetry/logger.ts";
import { createRegistry, registerConnections } from "../telemetry/metrics.ts";

export type Foundations = ReturnType<typeof openFoundations>;

/**
 * What every process stands on. Neither Postgres nor Redis is asked for anything yet.
 *
 * @param poolSize connections to Postgres at most
 * @param serverSettings of these connections; see createPool
 */
export function openFoundations(
  app: "ingest" | "worker" | "console",
  settings: Settings,
  poolSize: number,
  serverSettings?: string,
) {
  const log = createLogger(app, settings.logLevel);
  const pool = createPool(settings.databaseUrl, app, poolSize, log, serverSettings);
  const redis = createProducerConnection(settings.redisUrl, log);
  const queues = createQueues(redis);
  const registry = createRegistry(app);
  registerConnections(registry, pool, redis);
  return {
    settings,
    log,
    pool,
    redis,
    queues,
    registry,
    async close() {
      await queues.close();
      redis.disconnect();
      await pool.end();
    },
  };
}

/**
 * What a process that writes asks of the database before it starts: clocks that agree, today's partitions, and secrets
 * that open.
 *
 * @throws Error in one line where it may not start
 */
export async function checkDatabase({ pool, settings }: Foundations, now: () => number): Promise<SecretBox> {
  await refuseWrongClock(pool, now);
  await ensureCurrentPartitions(pool, now());
  const secretBox = createSecretBox(settings.encryptionKey);
  await refuseWrongKey(pool, secretBox);
  return secretBox;
}
