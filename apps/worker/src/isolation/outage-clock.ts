import { toPublicId } from "@postrider/shared/core/ids/id.ts";
import type { WorkerSettings } from "@postrider/shared/runtime/settings/worker.ts";
import type { Pool } from "@postrider/shared/store/pool.ts";
import { clearOutage } from "@postrider/shared/store/sql/clear-outage.ts";
import { startOutage } from "@postrider/shared/store/sql/start-outage.ts";
import type { Logger } from "@postrider/shared/runtime/telemetry/logger.ts";

/**
 * Measures the outages of subscriptions: the time since the breaker first opened with no success since. It is kept in
 * Postgres, because it must survive the loss of Redis.
 */
export interface OutageClock {
  /** The breaker has opened (again): starts the outage, or disables the subscription after DISABLE_AFTER. */
  start(subscriptionId: string): void;
  /** An attempt has succeeded. */
  clear(subscriptionId: string): void;
}

type Kind = "start" | "clear";

/** The caller does not wait for a write. One that fails while Postgres is unreachable is made on the next occasion. */
export function createOutageClock(pool: Pool, log: Logger, { disableAfterMs }: WorkerSettings): OutageClock {
  /** Each subscription's last write. Writes are made one after the other, because each may use another connection. */
  const writing = new Map<string, { kind: Kind; done: Promise<void> }>();

  function write(id: string, kind: Kind, statement: () => Promise<void>): void {
    const before = writing.get(id);
    if (before?.kind === kind) return;
    const done = (before?.done ?? Promise.resolve())
      .then(statement)
      .catch((error: unknown) => log.warn({ err: error }, "could not record the start or the end of an outage"))
      .finally(() => {
        if (writing.get(id)?.done === done) writing.delete(id);
      });
    writing.set(id, { kind, done });
  }

  return {
    start(id) {
      write(id, "start", async () => {
        const isDisabled = await startOutage(pool, id, disableAfterMs);
        if (isDisabled)
          log.warn({ subscription: toPublicId("sub", id), reason: "failing" }, "disabled the subscription");
      });
    },
    clear(id) {
      write(id, "clear", () => clearOutage(pool, id));
    },
  };
}
