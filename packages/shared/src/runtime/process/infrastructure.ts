import { createQueues } from "../../queue/queues.ts";
import { createProducerConnection } from "../../queue/connection.ts";
import { createRetryTurns } from "../../queue/retry-turns.ts";
import { createEnqueue, type OnEnqueueFailure } from "../../queue/enqueue.ts";
import { refuseWrongKey } from "../../store/encryption-key.ts";
import { refusePooler } from "../../store/pooler.ts";
import { refuseOtherSchema, SCHEMA_VERSION } from "../../store/schema-range.ts";
import { ensureCurrentPartitions } from "../../store/partitions.ts";
import { createPool } from "../../store/pool.ts";
import { createSecretBox, keyIdOf, type SecretBox } from "../../store/secret-box.ts";
import { now, refuseWrongClock } from "../clock.ts";
import { startServerCheck } from "./server-check.ts";
import type { DeliverySettings } from "../settings/delivery.ts";
import type { InfraSettings } from "../settings/infra.ts";
import { createLogger, type Logger } from "../telemetry/logger.ts";
import { createRegistry, registerConnections } from "../telemetry/metrics.ts";

export type Infrastructure = ReturnType<typeof openInfrastructure>;

export interface InfrastructureOptions {
  /** Maximum number of connections to Postgres. */
  poolSize: number;
  /** Server settings of the connections; see createPool. */
  serverSettings?: string;
  /** A pool of its own for reads, so that nothing else waits for them; undefined where they use the same. */
  reads?: { poolSize: number; timeoutMs: number; serverSettings: string };
}

/**
 * Creates a process's log, metrics and clients of Postgres and Redis. It sends no command to them yet, but for the
 * check of where the connections to Postgres lead.
 */
export function openInfrastructure(
  app: "ingest" | "worker" | "console",
  settings: InfraSettings & Partial<Pick<DeliverySettings, "encryptionKeys">>,
  { poolSize, serverSettings, reads }: InfrastructureOptions,
) {
  const log = createLogger(app, settings.logLevel);
  const { databaseUrl } = settings;
  // The version shows during an upgrade which code is still there, and the key during a rotation who seals with which.
  const sealing = settings.encryptionKeys?.[0];
  const applicationName = `postrider-${app} v${SCHEMA_VERSION}${sealing ? ` key ${keyIdOf(sealing)}` : ""}`;
  const pool = createPool(databaseUrl, applicationName, poolSize, log, serverSettings);
  const readPool =
    reads && createPool(databaseUrl, applicationName, reads.poolSize, log, reads.serverSettings, reads.timeoutMs);
  const pools = [pool, ...(readPool ? [readPool] : [])];
  const sockets = { [Symbol.iterator]: () => pools.flatMap((one) => [...one.sockets]).values() };
  const serverCheck = startServerCheck({ databaseUrl, applicationName, sockets }, log);
  const redis = createProducerConnection(settings.redisUrl, log);
  const queues = createQueues(redis);
  const retryTurns = createRetryTurns(redis, now);
  const registry = createRegistry(app);
  registerConnections(registry, pool, redis);
  return {
    log,
    pool,
    readPool: readPool ?? pool,
    redis,
    queues,
    retryTurns,
    enqueue: createEnqueue(queues, retryTurns, logEnqueueFailure(log)),
    registry,
    async close() {
      await queues.close();
      redis.disconnect();
      await serverCheck.stop();
      await Promise.all(pools.map((one) => one.end()));
    },
  };
}

const logEnqueueFailure =
  (log: Logger): OnEnqueueFailure =>
  (lane, jobs, error) =>
    log.debug({ err: error, lane, jobs }, "could not add jobs to the lane; leaving it to the watchdog");

/**
 * Checks the database before a process that writes to it starts: the connections must lead to Postgres itself, the schema
 * must serve this code, the clocks must agree and ENCRYPTION_KEY must open the stored secrets. Creates today's partitions.
 *
 * @throws Error of one line if the process must not start
 */
export async function checkDatabase(
  { pool }: Pick<Infrastructure, "pool">,
  { encryptionKeys }: Pick<DeliverySettings, "encryptionKeys">,
): Promise<SecretBox> {
  await refusePooler(pool);
  await refuseOtherSchema(pool);
  await refuseWrongClock(pool);
  await ensureCurrentPartitions(pool);
  const secretBox = createSecretBox(encryptionKeys);
  await refuseWrongKey(pool, secretBox);
  return secretBox;
}
