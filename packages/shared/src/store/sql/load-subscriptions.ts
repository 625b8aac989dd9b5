import type { SubscriptionStatus } from "../../core/delivery/states.ts";
import type { Queryable } from "../pool.ts";
import type { StoredHeaders, StoredSecret } from "../schema/subscriptions.ts";

/** A subscription as a worker loads it; schema/subscriptions.ts describes the columns. */
export interface SubscriptionRow {
  id: string;
  tenant: string;
  url: string;
  headers: StoredHeaders;
  secrets: StoredSecret[];
  status: SubscriptionStatus;
  isDeleted: boolean;
  rateLimit: number | null;
  maxInFlight: number;
  timeoutMs: number | null;
  retrySchedule: string[] | null;
  isFailing: boolean;
  /** By Postgres's clock, in milliseconds, because a worker's may be wrong. */
  lastSuccessAgoMs: number | null;
  hasFailedSince: boolean;
  /** Changes with every change by a person, and when the subscription is disabled. Outcomes leave it as it is. */
  revision: string;
}

const TEXT = `
  select id, tenant, url, headers, secrets, status, deleted_at is not null as "isDeleted", rate_limit as "rateLimit",
    max_in_flight as "maxInFlight", timeout_ms as "timeoutMs", retry_schedule as "retrySchedule",
    failing_since is not null as "isFailing", (extract(epoch from now() - last_success_at) * 1000)::float8 as "lastSuccessAgoMs",
    last_failure_at is not null and (last_success_at is null or last_failure_at > last_success_at) as "hasFailedSince",
    updated_at::text as revision
  from subscriptions where id = any ($1::uuid[])`;

/** Loads subscriptions by id, without unknown ids. */
export async function loadSubscriptionRows(db: Queryable, ids: readonly string[]): Promise<SubscriptionRow[]> {
  const { rows } = await db.query<SubscriptionRow>({ name: "load-subscriptions", text: TEXT, values: [ids] });
  return rows;
}
