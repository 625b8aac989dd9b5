import { MAX_COUNTED, type FleetState } from "@postrider/shared/runtime/fleet/fleet-state.ts";
import { age, bytes, count } from "./format.ts";

/** A problem that an operator should know about. `critical` needs action now, `warning` needs a look. */
export interface Finding {
  level: "critical" | "warning";
  text: string;
  /** Anchor of the section in docs/running-in-production.md that says what to do. */
  runbook: string;
}

const PAST_DUE_S = { warning: 30, critical: 300 };
const WATCHDOG_SILENT_MS = 5 * 60_000;
const MAX_MEMORY_SHARE = 0.8;

/**
 * Checks the fleet against the thresholds of the alerts.
 *
 * @param now Unix milliseconds
 * @returns the problems, critical ones first
 */
export function findingsOf(state: FleetState, now: number): Finding[] {
  const findings: Finding[] = [];
  const add = (level: Finding["level"], runbook: string, text: string) => findings.push({ level, text, runbook });
  const { workers, oldestDueSeconds, watchdog, redis, breakers, deadLastDay, postgres } = state;

  if (postgres === undefined)
    add("critical", "postgres-is-unreachable", "Postgres does not answer: events are refused and nothing is recorded.");
  if (redis === undefined)
    add("critical", "redis-is-unreachable", "Redis does not answer: events are accepted and wait in Postgres.");
  else if (workers?.length === 0)
    add("critical", "no-worker", "No worker is running: events are accepted, and none is delivered.");
  if (oldestDueSeconds !== undefined && oldestDueSeconds > PAST_DUE_S.warning) {
    const level = oldestDueSeconds > PAST_DUE_S.critical ? "critical" : "warning";
    add(level, "past-due", `The oldest due delivery has waited for ${age(oldestDueSeconds * 1000)}.`);
  }
  if (redis?.evicts) add("critical", "redis-memory", "Redis may evict keys: set its maxmemory-policy to noeviction.");
  if (redis?.maxBytes !== undefined && redis.usedBytes > MAX_MEMORY_SHARE * redis.maxBytes) {
    add("critical", "redis-memory", `Redis uses ${bytes(redis.usedBytes)} of its ${bytes(redis.maxBytes)}.`);
  }
  const lastRun = watchdog?.lastRun;
  if (lastRun && now - lastRun.at > WATCHDOG_SILENT_MS) {
    add("warning", "watchdog-silent", `The watchdog last ran ${age(now - lastRun.at)} ago.`);
  }
  if (breakers && breakers.open + breakers.half_open > 0) {
    const notClosed = breakers.open + breakers.half_open;
    add(
      "warning",
      "breakers-open",
      `${count(notClosed)} ${notClosed === 1 ? "subscription fails" : "subscriptions fail"}: the breaker is open, and deliveries are held for it.`,
    );
  }
  if (deadLastDay !== undefined && deadLastDay > 0) {
    const orMore = deadLastDay >= MAX_COUNTED ? " or more" : "";
    add(
      "warning",
      "dead-letters",
      `${count(deadLastDay)}${orMore} ${deadLastDay === 1 ? "delivery" : "deliveries"} of the last 24 hours became dead letters.`,
    );
  }
  return findings.sort((a, b) => Number(a.level === "warning") - Number(b.level === "warning"));
}
