import { randomBytes } from "node:crypto";
import { readSettings, type Settings } from "@postrider/shared/config/settings.ts";

const encryptionKey = randomBytes(32).toString("base64");

/** Settings of a process under test, on servers of its own and with loopback allowed; `over` has the environment's names. */
export function testSettings(databaseUrl: string, redisUrl: string, over: Record<string, string> = {}): Settings {
  return readSettings({
    DATABASE_URL: databaseUrl,
    REDIS_URL: redisUrl,
    ENCRYPTION_KEY: encryptionKey,
    API_KEYS: "test-key-0123456789",
    ADMIN_PORT: "0",
    ALLOWED_NETWORKS: "127.0.0.0/8",
    LOG_LEVEL: "silent",
    ...over,
  });
}
