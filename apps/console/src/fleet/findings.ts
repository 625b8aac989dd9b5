import { MOST_COUNTED, type FleetState } from "@postrider/shared/runtime/fleet/fleet-state.ts";
import { age, bytes, count } from "./format.ts";

/** What an operator should know first. `bad` needs somebody now, `odd` needs a look. */
export interface Finding {
  level: "bad" | "odd";
  text: string;
  /** The section of docs/running-in-production.md that says what to do. */
  runbook: string;
}

const PAST_DUE_S = { odd: 30, bad: 300 };
const WATCHDOG_SILENT_MS = 5 * 60_000;
const MEMORY_SHARE = 0.8;

/**
 * Judges the fleet by the figures that the alerts go by.
 *
 * @param now Unix milliseconds
 * @returns what is wrong, worst first; nothing where all is well
 */
export function findingsOf(state: FleetState, now: number): Finding[] {
  const findings: Finding[] = [];
  const find = (level: Finding["level"], runbook: string, text: string) => findings.push({ level, text, runbook });
  const { workers, oldestDueSeconds, watchdog, redis, breakers, deadLastDay, postgres } = state;

  if (postgres === undefined)
    find("bad", "postgres-is-away", "Postgres does not answer: events are refused and nothing is recorded.");
  if (redis === undefined)
    find("bad", "redis-is-away", "Redis does not answer: events are accepted and wait in Postgres.");
  else if (workers?.length === 0)
    find("bad", "no-worker", "No worker is there: events are accepted, and none is delivered.");
  if (oldestDueSeconds !== undefined && oldestDueSeconds > PAST_DUE_S.odd) {
    const level = oldestDueSeconds > PAST_DUE_S.bad ? "bad" : "odd";
    find(level, "past-due", `The oldest delivery that is due has waited for ${age(oldestDueSeconds * 1000)}.`);
  }
  if (redis?.evicts) find("bad", "redis-memory", "Redis may evict keys: set its maxmemory-policy to noeviction.");
  if (redis?.maxBytes !== undefined && redis.usedBytes > MEMORY_SHARE * redis.maxBytes) {
    find("bad", "redis-memory", `Redis uses ${bytes(redis.usedBytes)} of the ${bytes(redis.maxBytes)} that it may.`);
  }
  const lastRun = watchdog?.lastRun;
  if (lastRun && now - lastRun.at > WATCHDOG_SILENT_MS) {
    find("odd", "watchdog-silent", `The watchdog has not looked for ${age(now - lastRun.at)}.`);
  }
  if (breakers && breakers.open + breakers.half_open > 0) {
    const shut = breakers.open + breakers.half_open;
    find(
      "odd",
      "breakers-open",
      `${count(shut)} ${shut === 1 ? "subscription fails" : "subscriptions fail"}: the breaker is open, and deliveries are held for it.`,
    );
  }
  if (deadLastDay !== undefined && deadLastDay > 0) {
    const most = deadLastDay >= MOST_COUNTED ? " or more" : "";
    find(
      "odd",
      "dead-letters",
      `${count(deadLastDay)}${most} ${deadLastDay === 1 ? "delivery" : "deliveries"} of the last 24 hours became dead letters.`,
    );
  }
  return findings.sort((a, b) => Number(a.level === "odd") - Number(b.level === "odd"));
}
