import { rmSync } from "node:fs";
import { join } from "node:path";
import { startThrowawayPostgres, startThrowawayRedis, type Throwaway } from "../../../../scripts/services/index.ts";
import { withRedis } from "./redis.ts";

/** As in production: a commit waits for the disk. */
const DURABLE = { fsync: "on", synchronous_commit: "on", full_page_writes: "on", max_connections: "200" };
const LOG_EVERY_SECOND = ["--appendonly", "yes", "--appendfsync", "everysec"];

interface DurablePostgresOptions {
  settings?: Record<string, string>;
  /** Settings without which the server is started if it refuses them. */
  optional?: Record<string, string>;
}

/** A PostgreSQL that keeps what it has committed, also after kill -9; stopping it removes its data. */
export function startDurablePostgres(dir: string, options: DurablePostgresOptions = {}): Promise<Throwaway> {
  return startThrowawayPostgres(dir, { ...options, settings: { ...DURABLE, ...options.settings } });
}

/** A Redis that writes its log once a second. */
export interface DurableRedis extends Throwaway {
  /** Empties all of its databases. */
  flush(): Promise<void>;
  /** Removes what it keeps on disk; it must not be running. */
  removeData(): void;
}

export async function startDurableRedis(dir: string): Promise<DurableRedis> {
  const redis = await startThrowawayRedis(dir, { args: LOG_EVERY_SECOND });
  return Object.assign(redis, {
    async flush() {
      await withRedis(redis.url, (client) => client.flushall());
    },
    removeData() {
      rmSync(join(redis.folder, "appendonlydir"), { recursive: true, force: true });
      rmSync(join(redis.folder, "dump.rdb"), { force: true });
    },
  });
}
