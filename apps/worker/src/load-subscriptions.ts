import { parseRetrySchedule, type RetrySchedule } from "@postrider/shared/core/retry-schedule.ts";
import type { SubscriptionStatus } from "@postrider/shared/core/states.ts";
import type { Pool } from "@postrider/shared/db/pool.ts";
import type { StoredSecret } from "@postrider/shared/db/schema/index.ts";
import type { SecretBox } from "@postrider/shared/secret-box.ts";
import type { Settings } from "@postrider/shared/config/settings.ts";

/** A subscription as delivering needs it: defaults filled in, secrets opened. */
export interface Subscription {
  id: string;
  tenant: string;
  url: URL;
  headers: Record<string, string>;
  /** Live signing keys, newest first. */
  keys: Buffer[];
  status: SubscriptionStatus;
  deleted: boolean;
  rateLimit: number | null;
  maxInFlight: number;
  timeoutMs: number;
  schedule: RetrySchedule;
}

/** A row that cannot be used: an altered secret, say. Its deliveries fail as our own trouble, nobody else's do. */
export interface BrokenSubscription {
  broken: string;
}

interface Row {
  id: string;
  tenant: string;
  url: string;
  headers: Record<string, string>;
  secrets: StoredSecret[];
  status: SubscriptionStatus;
  deleted: boolean;
  rate_limit: number | null;
  max_in_flight: number;
  timeout_ms: number | null;
  retry_schedule: string[] | null;
}

const OPENED_SECRETS = 10_000;

/**
 * Reads subscriptions afresh for every batch, so that a rotated secret or a pause holds at once. Only the opening of
 * sealed secrets is remembered, by their sealed text, which a rotation changes.
 */
export function createSubscriptionLoader(pool: Pool, box: SecretBox, settings: Settings) {
  const opened = new Map<string, Buffer>();

  function open(secret: StoredSecret, subscriptionId: string): Buffer {
    const known = opened.get(secret.sealed);
    if (known) return known;
    const key = box.open(secret, subscriptionId);
    if (opened.size >= OPENED_SECRETS) opened.clear();
    opened.set(secret.sealed, key);
    return key;
  }

  function toSubscription(row: Row, now: number): Subscription | BrokenSubscription {
    try {
      const schedule = row.retry_schedule === null ? settings.retrySchedule : parseRetrySchedule(row.retry_schedule);
      if ("problem" in schedule) throw new Error(`retry schedule: ${schedule.problem}`);
      const live = row.secrets.filter(({ expiresAt }) => expiresAt === null || Date.parse(expiresAt) > now);
      if (live.length === 0) throw new Error("no signing secret is live");
      return {
        id: row.id,
        tenant: row.tenant,
        url: new URL(row.url),
        headers: row.headers,
        keys: live.map((secret) => open(secret, row.id)),
        status: row.status,
        deleted: row.deleted,
        rateLimit: row.rate_limit,
        maxInFlight: row.max_in_flight,
        timeoutMs: row.timeout_ms ?? settings.deliveryTimeoutMs,
        schedule,
      };
    } catch (error) {
      return { broken: error instanceof Error ? error.message : String(error) };
    }
  }

  return async (ids: readonly string[], now: number): Promise<Map<string, Subscription | BrokenSubscription>> => {
    const { rows } = await pool.query<Row>({
      name: "load-subscriptions",
      text: `select id, tenant, url, headers, secrets, status, deleted_at is not null as deleted, rate_limit, max_in_flight,
               timeout_ms, retry_schedule
             from subscriptions where id = any ($1::uuid[])`,
      values: [[...new Set(ids)]],
    });
    return new Map(rows.map((row) => [row.id, toSubscription(row, now)]));
  };
}

export type LoadSubscriptions = ReturnType<typeof createSubscriptionLoader>;
