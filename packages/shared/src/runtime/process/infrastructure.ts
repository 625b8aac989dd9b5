import { createQueues } from "../../queue/queues.ts";
import { createProducerConnection } from "../../queue/connection.ts";
import { createEnqueue, type OnEnqueueFailure } from "../../queue/enqueue.ts";
import { refuseWrongClock } from "../../store/clock.ts";
import { refuseWrongKey } from "../../store/encryption-key.ts";
import { ensureCurrentPartitions } from "../../store/partitions.ts";
import { createPool } from "../../store/pool.ts";
import { createSecretBox, type SecretBox } from "../../store/secret-box.ts";
import type { InfraSettings } from "../settings/infra.ts";
import { createLogger, type Logger } from "../telemetry/logger.ts";
import { createRegistry, registerConnections } from "../telemetry/metrics.ts";

export type Infrastructure = ReturnType<typeof openInfrastructure>;

export interface InfrastructureOptions {
  /** Connections to Postgres at most. */
  poolSize: number;
  /** Server settings of these connections; see createPool. */
  serverSettings?: string;
}

/** Opens the stores of a process, and its log and metrics. No command is sent to Postgres or Redis yet. */
export function openInfrastructure(
  app: "ingest" | "worker" | "console",
  settings: InfraSettings,
  { poolSize, serverSettings }: InfrastructureOptions,
) {
  const log = createLogger(app, settings.logLevel);
  const pool = createPool(settings.databaseUrl, app, poolSize, log, serverSettings);
  const redis = createProducerConnection(settings.redisUrl, log);
  const queues = createQueues(redis);
  const registry = createRegistry(app);
  registerConnections(registry, pool, redis);
  return {
    log,
    pool,
    redis,
    queues,
    enqueue: createEnqueue(queues, logEnqueueFailure(log)),
    registry,
    async close() {
      await queues.close();
      redis.disconnect();
      await pool.end();
    },
  };
}

const logEnqueueFailure =
  (log: Logger): OnEnqueueFailure =>
  (lane, jobs, error) =>
    log.debug({ err: error, lane, jobs }, "could not add jobs to the lane; leaving it to the watchdog");

/**
 * Checks the database before a process that writes to it starts: clocks must agree, the partitions of today must
 * exist, and ENCRYPTION_KEY must open the stored secrets.
 *
 * @throws Error in one line where the process must not start
 */
export async function checkDatabase(
  { pool }: Pick<Infrastructure, "pool">,
  { encryptionKey }: Pick<InfraSettings, "encryptionKey">,
  now: () => number,
): Promise<SecretBox> {
  await refuseWrongClock(pool, now);
  await ensureCurrentPartitions(pool, now());
  const secretBox = createSecretBox(encryptionKey);
  await refuseWrongKey(pool, secretBox);
  return secretBox;
}
