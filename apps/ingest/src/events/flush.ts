import { patternsMatching } from "@postrider/shared/core/event/types.ts";
import { firstBatchNumber } from "@postrider/shared/core/ids/batch-id.ts";
import { familyRange } from "@postrider/shared/core/ids/id-range.ts";
import type { Batch } from "@postrider/shared/queue/jobs.ts";
import type { Pool } from "@postrider/shared/store/pool.ts";
import type { AcceptRow } from "@postrider/shared/store/accept-steps.ts";
import { deliveryCounts, type DeliveryCount } from "@postrider/shared/store/sql/delivery-counts.ts";
import { MAX_SHARED } from "@postrider/shared/store/sql/matching.ts";
import type { FanOuts } from "./fan-outs.ts";
import { insertEvents } from "./insert.ts";
import type { PreparedEvent } from "./prepare.ts";
import type { TenantShares } from "./tenant-share.ts";

/** The answer for one event. */
export type Accepted =
  | ({ kind: "accepted"; id: string; duplicate: boolean } & DeliveryCount)
  /** `index`: the event of the request whose key conflicts; -1 for the key of the batch. */
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
  fanOuts: FanOuts;
  /**
   * Called after each commit with the batches to dispatch, and the tenants whose further deliveries are to be written.
   * It must not throw, and is not awaited.
   */
  onBatches: (batches: Batch[], expanding: string[]) => void;
}

/**
 * Stores the events of several requests in one commit and dispatches their deliveries. Results are in order.
 *
 * @throws DatabaseError largeFanOutsOf (store/errors.ts); then the fan-outs are remembered
 */
export async function flush(parts: FlushParts, requests: readonly AcceptRequest[]): Promise<FlushResult[][]> {
  const { pool, shares } = parts;
  const inTurn = inTurns(requests, parts.fanOuts);
  const events = inTurn.flatMap((request) => request.events);
  const priorities = prioritiesOf(events, shares);
  const rows = await insertEvents(
    parts,
    inTurn.flatMap((request) =>
      request.events.map((event) => ({
        ...event,
        patterns: patternsMatching(event.type),
        isAlone: request.events.length === 1 && event.batch === undefined,
        firstBatch: firstBatchNumber(priorities.get(event.tenant)!),
      })),
    ),
  );
  enqueue(parts, events, rows);
  charge(shares, events, rows, priorities);
  const results = await resultsOf(pool, rows);
  let taken = 0;
  const resultsBy = new Map(
    inTurn.map((request) => [request, results.slice(taken, (taken += request.events.length))] as const),
  );
  return requests.map((request) => resultsBy.get(request)!);
}

/**
 * Small requests come first, and tenants take turns: large fan-outs may leave no deliveries for later events of the
 * statement. A request's turn is what its tenant has in the flush up to its end, with large fan-outs as far as they are known.
 */
function inTurns(requests: readonly AcceptRequest[], fanOuts: FanOuts): AcceptRequest[] {
  const now = performance.now();
  const sizes = requests.map((request) => ({
    request,
    tenant: request.events[0]!.tenant,
    size: request.events.length + fanOuts.estimate(request.events, now),
  }));
  const sums = new Map<string, number>();
  const turns = sizes
    .toSorted((a, b) => a.size - b.size)
    .map(({ request, tenant, size }) => {
      const sum = (sums.get(tenant) ?? 0) + size;
      sums.set(tenant, sum);
      return { request, sum };
    });
  return turns.toSorted((a, b) => a.sum - b.sum).map(({ request }) => request);
}

/** Hands over what is committed, and remembers the fan-outs. */
function enqueue({ fanOuts, onBatches }: FlushParts, events: readonly PreparedEvent[], rows: readonly AcceptRow[]) {
  const batches: Batch[] = [];
  const expanding = new Set<string>();
  const now = performance.now();
  for (const row of rows) {
    if (row.kind === "batch") {
      batches.push({ id: row.id, size: row.size, ...familyRange([row.from!, row.to!]) });
    } else if (row.kind === "new") {
      const event = events[row.n! - 1]!;
      if (row.expanding) expanding.add(event.tenant);
      fanOuts.learn(event, row, now);
    }
  }
  if (batches.length > 0 || expanding.size > 0) onBatches(batches, [...expanding]);
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

function toResult(
  { kind, id, size, expanding }: AcceptRow,
  counts: ReadonlyMap<string, DeliveryCount> | LookupFailed,
): FlushResult {
  // Only an event that is alone in its request.
  if (kind === "conflict") return { kind, index: 0 };
  if (kind !== "duplicate") return { kind: "accepted", id, deliveries: size, expanding, duplicate: false };
  if ("error" in counts) return counts;
  return { kind: "accepted", id, ...(counts.get(id) ?? { deliveries: 0, expanding: false }), duplicate: true };
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
