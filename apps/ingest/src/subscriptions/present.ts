import type { SharedBreaker } from "@postrider/shared/breaker/breakers.ts";
import { CLOSED_BREAKER } from "@postrider/shared/core/breaker.ts";
import type { HeldReason } from "@postrider/shared/core/delivery/states.ts";
import { formatDuration } from "@postrider/shared/core/duration.ts";
import { toPublicId } from "@postrider/shared/core/ids/id.ts";
import { readLimits } from "@postrider/shared/runtime/fleet/limits.ts";
import type { Pool } from "@postrider/shared/store/pool.ts";
import { readHeld } from "@postrider/shared/store/sql/read-held.ts";
import type { Context } from "../context.ts";
import type { SubscriptionRow } from "./store.ts";

export type Presenter = ReturnType<typeof createPresenter>;

type Sources = Pick<Context, "pool" | "redis" | "breakers" | "settings">;

/** Presents subscriptions: rows, held deliveries, breakers and limits, each read for all of them at once. */
export function createPresenter({ pool, redis, breakers, settings }: Sources) {
  return async (rows: readonly SubscriptionRow[]) => {
    const ids = rows.map(({ id }) => id);
    // Redis may be unreachable. An unknown breaker is shown as closed, which is also how it would start.
    const [held, found, limits] = await Promise.all([
      heldBySubscription(pool, ids),
      breakers.read(ids).catch((): SharedBreaker[] => []),
      readLimits(redis, ids).catch(() => undefined),
    ]);
    return rows.map((row, index) => ({
      id: toPublicId("sub", row.id),
      tenant: row.tenant,
      url: row.url,
      eventTypes: row.eventTypes,
      description: row.description,
      headers: row.headers,
      rateLimit: row.rateLimit,
      maxInFlight: row.maxInFlight,
      timeoutMs: row.timeoutMs ?? settings.deliveryTimeoutMs,
      retrySchedule: row.retrySchedule ?? settings.retrySchedule.map(formatDuration),
      metadata: row.metadata,
      status: row.status,
      disabledReason: row.disabledReason,
      lastSuccessAt: row.lastSuccessAt?.toISOString() ?? null,
      lastFailureAt: row.lastFailureAt?.toISOString() ?? null,
      lastError: row.lastError,
      breaker: presentBreaker(found[index] ?? CLOSED_BREAKER),
      limit: limits?.get(row.id) ?? null,
      ...(held.get(row.id) ?? NOTHING_HELD),
      createdAt: row.createdAt.toISOString(),
      updatedAt: row.updatedAt.toISOString(),
    }));
  };
}

const presentBreaker = ({ state, failures, until }: Pick<SharedBreaker, "state" | "failures" | "until">) => ({
  state,
  failures,
  // Open: when the next probe is due. Half open: when the probe under way counts as lost.
  retryAt: state === "closed" ? null : new Date(until).toISOString(),
});

/** A subscription's held deliveries. */
interface Held {
  held: number;
  heldReasons: Partial<Record<HeldReason, number>>;
  oldestHeldAt: string | null;
}

const NOTHING_HELD: Held = { held: 0, heldReasons: {}, oldestHeldAt: null };

async function heldBySubscription(pool: Pool, ids: readonly string[]): Promise<Map<string, Held>> {
  const rows = Map.groupBy(await readHeld(pool, ids), ({ subscriptionId }) => subscriptionId);
  return new Map(
    [...rows].map(([id, reasons]) => [
      id,
      {
        held: reasons.reduce((sum, { count }) => sum + count, 0),
        heldReasons: Object.fromEntries(reasons.map(({ reason, count }) => [reason, count])),
        oldestHeldAt: reasons[0]!.oldestAt.toISOString(),
      },
    ]),
  );
}
