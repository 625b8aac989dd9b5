import { within } from "../concurrency/within.ts";
import type { Pool } from "../store/pool.ts";
import { clock } from "./clock.ts";

const CHECK_TIMEOUT_MS = 2_000;

type Health = "ok" | "unavailable";

/** The body of `/readyz`. Only `unavailable` is answered with 503. */
export interface Readiness {
  status: Health | "degraded";
  checks: Readonly<Record<string, Health | "wrong">>;
}

/** Whether a check succeeds within two seconds. */
export function healthOf(check: Promise<unknown>): Promise<Health> {
  const health = check.then(
    () => "ok" as const,
    () => "unavailable" as const,
  );
  return within<Health>(CHECK_TIMEOUT_MS, health, () => "unavailable");
}

export const postgresHealth = (pool: Pool): Promise<Health> => healthOf(pool.query("select 1"));

/**
 * A process that lacks a store that it needs is unavailable. With anything else missing it is degraded: a wrong clock of
 * the machine is corrected, but the process would not start again with it.
 *
 * @param needed names of stores
 */
export function readinessOf(stores: Readonly<Record<string, Health>>, needed: readonly string[]): Readiness {
  const checks = { ...stores, clock: clock.isRight ? ("ok" as const) : ("wrong" as const) };
  const isMissing = needed.some((store) => stores[store] !== "ok");
  const isDegraded = Object.values(checks).some((check) => check !== "ok");
  return { status: isMissing ? "unavailable" : isDegraded ? "degraded" : "ok", checks };
}
