import { randomBytes } from "node:crypto";
import { readWorkerSettings, type WorkerSettings } from "@postrider/shared/runtime/settings/worker.ts";

const encryptionKey = randomBytes(32).toString("base64");

/**
 * Settings of a process under test, on servers of its own and with loopback allowed; `over` has the environment's
 * names.
 */
export function testSettings(databaseUrl: string, redisUrl: string, over: Record<string, string> = {}): WorkerSettings {
  return readWorkerSettings({
    DATABASE_URL: databaseUrl,
    REDIS_URL: redisUrl,
    ENCRYPTION_KEY: encryptionKey,
    ADMIN_PORT: "0",
    ALLOWED_NETWORKS: "127.0.0.0/8",
    // Nothing listens on port 9.
    ALLOWED_PORTS: "9,80,443,1024-65535",
    LOG_LEVEL: "silent",
    ...over,
  });
}
