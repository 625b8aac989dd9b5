import type { SharedBreaker } from "@postrider/shared/breaker/breakers.ts";
import { CLOSED_BREAKER } from "@postrider/shared/core/breaker.ts";
import type { HeldReason } from "@postrider/shared/core/delivery/states.ts";
import { formatDuration } from "@postrider/shared/core/duration.ts";
import { toPublicId } from "@postrider/shared/core/ids/id.ts";
import { readLimits, type SubscriptionLimit } from "@postrider/shared/runtime/fleet/limits.ts";
import type { HeldRow } from "@postrider/shared/store/sql/read-held.ts";
import type { Context } from "../context.ts";
import type { SubscriptionRow } from "./store.ts";
import { presentHeaders } from "./stored-headers.ts";

export type Presenter = ReturnType<typeof createPresenter>;

type Sources = Pick<Context, "pool" | "redis" | "breakers" | "heldReader" | "settings" | "secretBox">;

/** What a subscription shows beside its row. */
interface State extends Held {
  breaker: Pick<SharedBreaker, "state" | "failures" | "until">;
  limit: SubscriptionLimit | null;
}

/** Reads held deliveries, breakers and limits, each for all subscriptions at once. */
export const createStateReader =
  ({ pool, redis, breakers, heldReader }: Sources) =>
  async (ids: readonly string[]): Promise<State[]> => {
    // Redis may be unreachable. An unknown breaker is shown as closed, which is also how it would start.
    const [held, found, limits] = await Promise.all([
      heldReader.read(pool, ids).then(heldBySubscription),
      breakers.read(ids).catch((): SharedBreaker[] => []),
      readLimits(redis, ids).catch(() => undefined),
    ]);
    return ids.map((id, index) => ({
      breaker: found[index] ?? CLOSED_BREAKER,
      limit: limits?.get(id) ?? null,
      ...(held.get(id) ?? NOTHING_HELD),
    }));
  };

/** Presents subscriptions with their state as it is now. */
export function createPresenter(sources: Sources) {
  const readStates = createStateReader(sources);
  return async (rows: readonly SubscriptionRow[]) => {
    const states = await readStates(rows.map(({ id }) => id));
    return rows.map((row, index) => presentSubscription(row, sources, states[index]));
  };
}

/** @param state by default that of a new subscription, which has no deliveries yet */
export const presentSubscription = (
  row: SubscriptionRow,
  { settings, secretBox }: Pick<Context, "settings" | "secretBox">,
  { breaker, ...state }: State = { breaker: CLOSED_BREAKER, limit: null, ...NOTHING_HELD },
) => ({
  id: toPublicId("sub", row.id),
  tenant: row.tenant,
  url: URL.parse(row.url)?.href ?? row.url,
  eventTypes: row.eventTypes,
  description: row.description,
  headers: presentHeaders(secretBox, row.id, row.headers),
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
  breaker: presentBreaker(breaker),
  ...state,
  createdAt: row.createdAt.toISOString(),
  updatedAt: row.updatedAt.toISOString(),
});

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

function heldBySubscription(held: readonly HeldRow[]): Map<string, Held> {
  const rows = Map.groupBy(held, ({ subscriptionId }) => subscriptionId);
  return new Map(
    [...rows].map(([id, reasons]) => [
      id,
      {
        held: reasons.reduce((sum, { count }) => sum + count, 0),
        heldReasons: Object.fromEntries(reasons.map(({ reason, count }) => [reason, count])),
        oldestHeldAt: reasons[0]!.oldestAt!.toISOString(),
      },
    ]),
  );
}
