import type { Breaker } from "@postrider/shared/core/breaker.ts";
import { parseRetrySchedule, type RetrySchedule } from "@postrider/shared/core/delivery/retry-schedule.ts";
import type { SubscriptionStatus } from "@postrider/shared/core/delivery/states.ts";
import type { Pool } from "@postrider/shared/store/pool.ts";
import type { StoredSecret } from "@postrider/shared/store/schema/index.ts";
import type { SecretBox } from "@postrider/shared/store/secret-box.ts";
import type { BreakerReports } from "../isolation/breaker-reports.ts";
import type { WorkerSettings } from "@postrider/shared/runtime/settings/worker.ts";

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
  /** Its breaker has opened, and no attempt has succeeded since. */
  isFailing: boolean;
}

/** A row that cannot be used: an altered secret, say. Its deliveries fail as our own trouble, nobody else's do. */
export interface BrokenSubscription {
  broken: string;
}

/** Whom a delivery is for, as it stands now. */
export interface Subscriber {
  /** Undefined where the row is missing. */
  subscription: Subscription | BrokenSubscription | undefined;
  /** Undefined while Redis is away. */
  breaker: Breaker | undefined;
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
  failing: boolean;
}

const OPENED_SECRETS = 10_000;

/**
 * Reads subscriptions and their breakers afresh for every batch, so that a rotated secret, a pause or an open breaker
 * holds at once. Only the opening of sealed secrets is remembered, by their sealed text, which a rotation changes.
 */
export function createSubscriberLoader(
  pool: Pool,
  box: SecretBox,
  settings: WorkerSettings,
  breakerReports: BreakerReports,
) {
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
        isFailing: row.failing,
      };
    } catch (error) {
      return { broken: error instanceof Error ? error.message : String(error) };
    }
  }

  async function loadSubscriptions(ids: readonly string[], now: number) {
    const { rows } = await pool.query<Row>({
      name: "load-subscriptions",
      text: `select id, tenant, url, headers, secrets, status, deleted_at is not null as deleted, rate_limit, max_in_flight,
               timeout_ms, retry_schedule, failing_since is not null as failing
             from subscriptions where id = any ($1::uuid[])`,
      values: [ids],
    });
    return new Map(rows.map((row) => [row.id, toSubscription(row, now)]));
  }

  /** @returns one per id, whatever is known of it */
  return async (ids: readonly string[], now: number): Promise<ReadonlyMap<string, Subscriber>> => {
    const distinct = [...new Set(ids)];
    const [subscriptions, breakers] = await Promise.all([
      loadSubscriptions(distinct, now),
      breakerReports.read(distinct),
    ]);
    return new Map(distinct.map((id) => [id, { subscription: subscriptions.get(id), breaker: breakers.get(id) }]));
  };
}

export type LoadSubscribers = ReturnType<typeof createSubscriberLoader>;
