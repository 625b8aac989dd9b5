import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import { HEARTBEAT_MS, recordHeartbeat, removeHeartbeat } from "@postrider/shared/runtime/fleet/roster.ts";
import { publishLimits, removeLimits } from "@postrider/shared/runtime/fleet/limits.ts";
import { every } from "@postrider/shared/concurrency/every.ts";
import { now } from "@postrider/shared/runtime/clock.ts";
import { SCHEMA_VERSION } from "@postrider/shared/store/schema-range.ts";
import type { Context } from "../context.ts";

/** Registers this worker and its limits in Redis, for the console, the metrics and the API. No work depends on it. */
export function startHeartbeat(
  { redis, slots, fleetMetrics, secretBox, log }: Context,
  adminPort: number,
): { stop(): Promise<void> } {
  const id = randomUUID();
  const self = {
    host: hostname(),
    pid: process.pid,
    adminPort,
    startedAt: now(),
    schema: SCHEMA_VERSION,
    keyIds: secretBox.keyIds,
  };
  const send = () =>
    Promise.all([
      recordHeartbeat(redis, id, { ...self, slots: slots.size, inFlight: slots.inUse, seenAt: now() }),
      publishLimits(redis, id, slots.limited()),
    ]);
  const beats = every(HEARTBEAT_MS, "heartbeat", log, () => send().catch(() => undefined));
  beats.trigger();
  return {
    async stop() {
      await beats.stop();
      await Promise.all([removeHeartbeat(redis, id), removeLimits(redis, id), fleetMetrics.close()]).catch(
        () => undefined,
      );
    },
  };
}
