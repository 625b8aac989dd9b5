import { randomUUID } from "node:crypto";
import type { Redis } from "ioredis";
import { FLEET_EXPORTER_KEY } from "@postrider/shared/queue/keys.ts";

/** Longer than the interval between two scrapes; after that another worker becomes the exporter. */
const LEASE_MS = 60_000;

/** Elects the worker that exports the fleet's metrics: the first one that is scraped, for as long as it is scraped. */
export interface ExporterElection {
  /** Whether this worker is the exporter. Renews its lease, or takes the lease where it is free. */
  isExporter(): Promise<boolean>;
  /** Lets another worker become the exporter. */
  resign(): Promise<void>;
}

export function createExporterElection(redis: Redis): ExporterElection {
  const self = randomUUID();
  let isElected = false;
  return {
    async isExporter() {
      try {
        isElected =
          (await redis.set(FLEET_EXPORTER_KEY, self, "PX", LEASE_MS, "NX")) === "OK" ||
          (await redis.get(FLEET_EXPORTER_KEY)) === self;
        if (isElected) await redis.pexpire(FLEET_EXPORTER_KEY, LEASE_MS);
      } catch {
        // Redis is unreachable, and no other worker can be elected. The exporter still has Postgres to report on.
      }
      return isElected;
    },
    async resign() {
      if (isElected) await redis.del(FLEET_EXPORTER_KEY);
    },
  };
}
