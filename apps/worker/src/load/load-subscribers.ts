import { parseRetrySchedule } from "@postrider/shared/core/delivery/retry-schedule.ts";
import type { WorkerSettings } from "@postrider/shared/runtime/settings/worker.ts";
import type { Pool } from "@postrider/shared/store/pool.ts";
import { headerOwner, secretOwner } from "@postrider/shared/store/seal-owners.ts";
import { mapHeaders } from "@postrider/shared/store/sealed-headers.ts";
import { UnknownKeyError, type SecretBox } from "@postrider/shared/store/secret-box.ts";
import { loadSubscriptionRows, type SubscriptionRow } from "@postrider/shared/store/sql/load-subscriptions.ts";
import type { BrokenSubscription, Subscriber, Subscription } from "../delivery.ts";
import type { BreakerReports } from "../isolation/breaker-reports.ts";
import { OpenedCache } from "./opened-cache.ts";

export type LoadSubscribers = ReturnType<typeof createSubscriberLoader>;

/**
 * Reads subscriptions and their breakers again for every batch, so that a rotated secret, a pause or an open breaker
 * takes effect at once. Only opened secrets and headers are cached, by their sealed text, which every change changes.
 */
export function createSubscriberLoader(
  pool: Pool,
  box: SecretBox,
  settings: Pick<WorkerSettings, "retrySchedule" | "deliveryTimeoutMs">,
  breakerReports: Pick<BreakerReports, "read">,
) {
  const secrets = new OpenedCache((secret, owner) => box.open(secret, owner));
  const headers = new OpenedCache((value, owner) => box.open(value, owner).toString());

  /** @param queriedAt milliseconds of `performance.now()` before the query, so a success never seems newer than it is */
  function toSubscription(row: SubscriptionRow, now: number, queriedAt: number): Subscription | BrokenSubscription {
    try {
      const schedule = row.retrySchedule === null ? settings.retrySchedule : parseRetrySchedule(row.retrySchedule);
      if ("problem" in schedule) throw new Error(`retry schedule: ${schedule.problem}`);
      const live = row.secrets.filter(({ expiresAt }) => expiresAt === null || Date.parse(expiresAt) > now);
      if (live.length === 0) throw new Error("no signing secret is live");
      return {
        id: row.id,
        tenant: row.tenant,
        url: new URL(row.url),
        headers: mapHeaders(row.headers, (name, value) =>
          typeof value === "string" ? value : headers.open(value, headerOwner(row.id, name)),
        ),
        keys: live.map((secret) => secrets.open(secret, secretOwner(row.id))),
        status: row.status,
        isDeleted: row.isDeleted,
        rateLimit: row.rateLimit,
        maxInFlight: row.maxInFlight,
        // Slots and shares are sized for no request longer than the setting.
        timeoutMs: Math.min(row.timeoutMs ?? Infinity, settings.deliveryTimeoutMs),
        schedule,
        isFailing: row.isFailing,
        lastSuccessAt: row.lastSuccessAgoMs === null ? null : queriedAt - row.lastSuccessAgoMs,
        hasFailedSince: row.hasFailedSince,
        revision: row.revision,
      };
    } catch (error) {
      const problem = error instanceof Error ? error.message : String(error);
      return error instanceof UnknownKeyError ? { problem, isOurs: true } : { problem };
    }
  }

  /** @param now Unix milliseconds @returns one subscriber per id */
  return async (ids: readonly string[], now: number): Promise<ReadonlyMap<string, Subscriber>> => {
    const distinct = [...new Set(ids)];
    const queriedAt = performance.now();
    const rows = await loadSubscriptionRows(pool, distinct);
    // The first failure after a success is on the row before this worker learns that the subscription is watched.
    const breakers = await breakerReports.read(
      rows.map(({ id, isFailing, hasFailedSince }) => ({ id, isFailing: isFailing || hasFailedSince })),
    );
    const subscriptions = new Map(rows.map((row) => [row.id, toSubscription(row, now, queriedAt)]));
    return new Map(distinct.map((id) => [id, { subscription: subscriptions.get(id), breaker: breakers.get(id) }]));
  };
}
