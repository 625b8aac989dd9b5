import { Gauge, type Registry } from "prom-client";
import type { Breakers } from "@postrider/shared/breaker/breakers.ts";
import { HELD_REASONS } from "@postrider/shared/core/states.ts";
import { timeOfId } from "@postrider/shared/core/id-range.ts";
import type { Pool } from "@postrider/shared/db/pool.ts";
import type { Queues } from "@postrider/shared/queue/queues.ts";

/** A scrape reads Postgres and Redis at most this often, however many scrapers there are. */
const CACHE_MS = 5_000;

interface Backlog {
  held: { reason: string; deliveries: number }[];
  breakers: Record<string, number>;
  depths: { lane: string; state: string; jobs: number }[];
  oldestDueSeconds: number;
}

/**
 * How far behind the fleet is: the depth of the lanes, what is held, the breakers that are not closed, and the age of
 * the oldest delivery past due. The same from every worker.
 */
export function registerBacklogMetrics(registry: Registry, pool: Pool, queues: Queues, breakers: Breakers): void {
  let cached: { at: number; backlog: Promise<Backlog> } | undefined;
  const read = (): Promise<Backlog> => {
    if (!cached || Date.now() - cached.at > CACHE_MS)
      cached = { at: Date.now(), backlog: readBacklog(pool, queues, breakers) };
    return cached.backlog;
  };
  new Gauge({
    name: "postrider_lane_jobs",
    help: "Jobs in a lane's queue, by state (dispatch: batches of up to 100 deliveries; retry: single deliveries)",
    labelNames: ["lane", "state"] as const,
    registers: [registry],
    async collect() {
      this.reset();
      for (const { lane, state, jobs } of (await read()).depths) this.set({ lane, state }, jobs);
    },
  });
  new Gauge({
    name: "postrider_held",
    help: "Deliveries that are held, by reason",
    labelNames: ["reason"] as const,
    registers: [registry],
    async collect() {
      this.reset();
      for (const { reason, deliveries } of (await read()).held) this.set({ reason }, deliveries);
    },
  });
  new Gauge({
    name: "postrider_breakers",
    help: "Subscriptions whose breaker is not closed, by its state",
    labelNames: ["state"] as const,
    registers: [registry],
    async collect() {
      this.reset();
      for (const [state, count] of Object.entries((await read()).breakers)) this.set({ state }, count);
    },
  });
  new Gauge({
    name: "postrider_oldest_due_seconds",
    help: "Age of the oldest delivery that should have been attempted by now; 0 where there is none",
    registers: [registry],
    async collect() {
      this.set((await read()).oldestDueSeconds);
    },
  });
}

/** Unknown is not zero: what could not be read is absent, or NaN, so that no alert is calmed by an outage. */
async function readBacklog(pool: Pool, queues: Queues, breakers: Breakers): Promise<Backlog> {
  const [depths, held, counted, oldest] = await Promise.allSettled([
    readDepths(queues),
    readHeld(pool),
    breakers.count(Date.now()),
    readOldestDue(pool),
  ]);
  return {
    depths: depths.status === "fulfilled" ? depths.value : [],
    held: held.status === "fulfilled" ? held.value : [],
    breakers: counted.status === "fulfilled" ? counted.value : {},
    oldestDueSeconds: oldest.status === "fulfilled" ? oldest.value : Number.NaN,
  };
}

/** Every reason, also those for which nothing is held. */
async function readHeld(pool: Pool) {
  const { rows } = await pool.query<{ reason: string; deliveries: number }>(
    "select held_reason as reason, count(*)::int as deliveries from deliveries where state = 'held' group by held_reason",
  );
  const held = new Map(rows.map(({ reason, deliveries }) => [reason, deliveries]));
  return HELD_REASONS.map((reason) => ({ reason, deliveries: held.get(reason) ?? 0 }));
}

async function readDepths(queues: Queues) {
  const lanes = ["dispatch", "retry", "control"] as const;
  const counts = await Promise.all(
    lanes.map((lane) => queues[lane].getJobCounts("waiting", "prioritized", "active", "delayed", "failed")),
  );
  return lanes.flatMap((lane, index) => Object.entries(counts[index]!).map(([state, jobs]) => ({ lane, state, jobs })));
}

async function readOldestDue(pool: Pool): Promise<number> {
  const { rows } = await pool.query<{ pending: string | null; retrying: number | null }>(`
    select (select batch_id from deliveries where state = 'pending' order by batch_id limit 1) as pending,
      (select extract(epoch from now() - next_attempt_at)::float8 from deliveries
       where state = 'retrying' order by next_attempt_at limit 1) as retrying`);
  const row = rows[0]!;
  // A batch id begins with the time at which its deliveries became pending.
  const pending = row.pending === null ? 0 : (Date.now() - timeOfId(row.pending)) / 1000;
  return Math.max(0, pending, row.retrying ?? 0);
}
