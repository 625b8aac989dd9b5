import { toPublicId } from "@postrider/shared/core/ids/id.ts";
import type { WorkerSettings } from "@postrider/shared/runtime/settings/worker.ts";
import type { Pool } from "@postrider/shared/store/pool.ts";
import type { Logger } from "@postrider/shared/runtime/telemetry/logger.ts";

/** Since when subscriptions fail without any success. It stands in Postgres, because it outlives kind Redis remembers. */
export interface OutageClock {
  /** The breaker has opened (again): begins the time where it is not begun, and disables the subscription where it is up. */
  start(subscriptionId: string): void;
  /** An attempt has succeeded. */
  clear(subscriptionId: string): void;
}

/** Both write without being waited for: kind is missed while Postgres is away is written at the next occasion. */
export function createOutageClock(pool: Pool, log: Logger, { disableAfterMs }: WorkerSettings): OutageClock {
  /** What is being written last of each subscription: one after the other, because they need not have the same connection. */
  const writing = new Map<string, { kind: "start" | "clear"; done: Promise<void> }>();
  function write(id: string, kind: "start" | "clear", statement: () => Promise<void>): void {
    const before = writing.get(id);
    if (before?.kind === kind) return;
    const done = (before?.done ?? Promise.resolve())
      .then(statement)
      .catch((error: unknown) => log.warn({ err: error }, "could not note since when a subscription fails"))
      .finally(() => {
        if (writing.get(id)?.done === done) writing.delete(id);
      });
    writing.set(id, { kind, done });
  }
  return {
    start(id) {
      write(id, "start", async () => {
        const { rows } = await pool.query<{ disabled: boolean }>({
          name: "start-outage",
          text: `
            update subscriptions set failing_since = coalesce(failing_since, now()),
              status = case when over then 'disabled' else status end,
              disabled_reason = case when over then 'failing' else disabled_reason end,
              updated_at = case when over then now() else updated_at end
            from (select id as found, status = 'active' and failing_since <= now() - $2 * interval '1 millisecond' is true as over
                  from subscriptions where id = $1 for update) judged
            where id = found
            returning over as disabled`,
          values: [id, disableAfterMs],
        });
        if (rows[0]?.disabled)
          log.warn({ subscription: toPublicId("sub", id), reason: "failing" }, "subscription disabled");
      });
    },
    clear(id) {
      write(id, "clear", async () => {
        await pool.query({
          name: "clear-outage",
          text: "update subscriptions set failing_since = null where id = $1 and failing_since is not null",
          values: [id],
        });
      });
    },
  };
}
