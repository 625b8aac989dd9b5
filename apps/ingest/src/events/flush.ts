import { patternsMatching } from "@postrider/shared/core/event/types.ts";
import { firstBatchNumber } from "@postrider/shared/core/ids/batch-id.ts";
import { familyRange } from "@postrider/shared/core/ids/id-range.ts";
import type { Batch } from "@postrider/shared/queue/jobs.ts";
import type { Pool } from "@postrider/shared/store/pool.ts";
import { MAX_SHARED, type AcceptRow } from "@postrider/shared/store/sql/accept.ts";
import { deliveryCounts } from "@postrider/shared/store/sql/delivery-counts.ts";
import { insertEvents } from "./insert.ts";
import type { PreparedEvent } from "./prepare.ts";
import type { TenantShares } from "./tenant-share.ts";

/** The answer for one event. */
export type Accepted =
  | { kind: "accepted"; id: string; deliveries: number; duplicate: boolean }
  /** `index`: the event of the request whose key conflicts. */
  | { kind: "conflict"; index: number };

/**
 * The flush committed, but the original event of this idempotent repeat could not be read back. Only its caller gets an
 * error.
 */
interface LookupFailed {
  kind: "lookup_failed";
  error: unknown;
}

export type FlushResult = Accepted | LookupFailed;

/** A request of one event, or of several that are accepted all or nothing. */
export interface AcceptRequest {
  events: PreparedEvent[];
  bytes: number;
}

export interface FlushParts {
  pool: Pool;
  shares: TenantShares;
  /** Called after each commit with the batches to dispatch. It must not throw, and is not awaited. */
  onBatches: (batches: Batch[]) => void;
}

/** Stores the events of several requests in one commit and dispatches their deliveries. Results are in order. */
export async function flush(
  { pool, shares, onBatches }: FlushParts,
  requests: readonly AcceptRequest[],
): Promise<FlushResult[][]> {
  const events = requests.flatMap((request) => request.events);
  const priorities = prioritiesOf(events, shares);
  const rows = await insertEvents(
    pool,
    requests.flatMap((request) =>
      request.events.map((event) => ({
        ...event,
        patterns: patternsMatching(event.type),
        isAlone: request.events.length === 1,
        firstBatch: firstBatchNumber(priorities.get(event.tenant)!),
      })),
    ),
  );
  const batches = rows.filter(({ kind }) => kind === "batch");
  if (batches.length > 0) {
    onBatches(batches.map(({ id, size, from, to }) => ({ id, size, ...familyRange([from!, to!]) })));
  }
  charge(shares, events, rows, priorities);
  const results = await resultsOf(pool, rows);
  let taken = 0;
  return requests.map((request) => results.slice(taken, (taken += request.events.length)));
}

/** One result per event, in order. */
async function resultsOf(pool: Pool, rows: readonly AcceptRow[]): Promise<FlushResult[]> {
  const duplicates = rows.filter(({ kind }) => kind === "duplicate").map(({ id }) => id);
  // A statement of its own, because the first use of a key may have committed after the flush began.
  const counts = await deliveryCounts(pool, duplicates).catch((error: unknown): LookupFailed => ({
    kind: "lookup_failed",
    error,
  }));
  return rows.filter(({ n }) => n !== null).map((row) => toResult(row, counts));
}

function toResult(row: AcceptRow, counts: ReadonlyMap<string, number> | LookupFailed): FlushResult {
  // Only an event that is alone in its request.
  if (row.kind === "conflict") return { kind: "conflict", index: 0 };
  if (row.kind !== "duplicate") return { kind: "accepted", id: row.id, deliveries: row.size, duplicate: false };
  if ("error" in counts) return counts;
  return { kind: "accepted", id: row.id, deliveries: counts.get(row.id) ?? 0, duplicate: true };
}

/** The priority of each tenant of a flush. Tenants that flood as much have the same one and share batches. */
function prioritiesOf(events: readonly PreparedEvent[], shares: TenantShares): Map<string, number> {
  const now = performance.now();
  const priorities = new Map<string, number>();
  for (const { tenant } of events) {
    if (!priorities.has(tenant)) priorities.set(tenant, shares.priorityOf(tenant, now));
  }
  return priorities;
}

function charge(
  shares: TenantShares,
  events: readonly PreparedEvent[],
  rows: readonly AcceptRow[],
  priorities: ReadonlyMap<string, number>,
): void {
  const created = new Map<string, number>();
  for (const { n, kind, size } of rows) {
    if (kind !== "new" || size === 0) continue;
    const { tenant } = events[n! - 1]!;
    created.set(tenant, (created.get(tenant) ?? 0) + size);
  }
  const now = performance.now();
  for (const [tenant, deliveries] of created) {
    shares.charge(tenant, deliveries, priorities.get(tenant)! > 0 ? 0 : Math.min(deliveries, MAX_SHARED), now);
  }
}
