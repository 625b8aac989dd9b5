import type { OnFlush } from "@postrider/shared/concurrency/group-commit.ts";
import { createHash } from "node:crypto";
import { parseExactly } from "@postrider/shared/core/exact-json.ts";
import { familyRange, timeOfId } from "@postrider/shared/core/ids/id-range.ts";
import { isDataError, isIdempotencyConflict } from "@postrider/shared/store/errors.ts";
import type { Pool } from "@postrider/shared/store/pool.ts";
import { GroupCommit } from "@postrider/shared/concurrency/group-commit.ts";
import type { Batch } from "@postrider/shared/queue/jobs.ts";
import { newId } from "@postrider/shared/runtime/new-id.ts";
import { deliveryCounts, insertEvents, type AcceptRow, type NewEvent, type PreparedEvent } from "./insert.ts";
import { TenantShares } from "./tenant-share.ts";

/** What accept answers for one event. */
export type Accepted = { kind: "accepted"; id: string; deliveries: number; duplicate: boolean } | { kind: "conflict" };

/** A repeat whose first use could not be looked up: its flush is committed, and nobody else's answer is wrong for it. */
interface Unknown {
  kind: "unknown";
  problem: unknown;
}

/** A delivered body larger than this is not taken (design: 256 KiB of payload). */
export const MAX_PAYLOAD_BYTES = 256 * 1024;

const EVENT_ROW_BYTES = 200;
/** While Postgres has one or two, the next is being put together and sent: with one at a time each would wait for the other. */
const MAX_FLUSHING = 3;
/**
 * What every flush costs, and every job of its deliveries, is paid once for more of them when there are many callers. Who comes
 * alone does not wait, and nobody does for more than is worth it: forty events make a flush that costs each of them little.
 */
const PACE = { ms: 20, after: 2, enough: 40 };
/** Two requests of a hundred events of 10 kB: what is larger costs more per event, in ingest as in Postgres. */
const MAX_FLUSH = { rows: 1_000, bytes: 2 * 1024 * 1024 };
const MAX_WAITING = { rows: 20_000, bytes: 64 * 1024 * 1024 };

/** A request of one event, or of several that are accepted all or nothing. */
interface AcceptRequest {
  events: PreparedEvent[];
  bytes: number;
}

export interface Acceptor {
  /**
   * Stores the events of one request durably and answers in their order.
   *
   * @throws BufferFullError, or what Postgres threw; then nothing of the request is stored, or its fate is unknown
   *   (the connection broke during the commit), which only an idempotency key can tell apart on a repeat
   */
  accept(events: readonly NewEvent[]): Promise<Accepted[]>;
  readonly waitingRows: number;
  idle(): Promise<void>;
}

/** @param onBatches called after each commit with the batches to dispatch; it must neither throw nor be waited for */
export function createAcceptor(pool: Pool, onBatches: (batches: Batch[]) => void, onFlush?: OnFlush): Acceptor {
  const shares = new TenantShares();
  const commits = new GroupCommit<AcceptRequest, (Accepted | Unknown)[]>({
    flush: (requests) => flush(pool, shares, requests, onBatches),
    isDataError,
    weigh: ({ events, bytes }) => ({ rows: events.length, bytes }),
    keysOf: ({ events }) =>
      events.flatMap(({ tenant, idempotencyKey }) =>
        idempotencyKey === undefined ? [] : `${tenant} ${idempotencyKey}`,
      ),
    maxFlushing: MAX_FLUSHING,
    pace: PACE,
    onFlush,
    maxFlush: MAX_FLUSH,
    maxWaiting: MAX_WAITING,
  });
  return {
    async accept(events) {
      const prepared = events.map(prepare);
      const { unique, placeOf } = foldRepeatedKeys(prepared);
      if (!unique) return prepared.map(() => ({ kind: "conflict" }) as const);
      const bytes = unique.reduce((sum, { data }) => sum + data.length + EVENT_ROW_BYTES, 0);
      const results = await commits.add({ events: unique, bytes }).catch((error: unknown) => {
        // One event of several conflicts, so none was stored.
        if (isIdempotencyConflict(error)) return unique.map(() => ({ kind: "conflict" }) as const);
        throw error;
      });
      return placeOf.map(({ index, repeated }) => {
        const result = results[index]!;
        if (result.kind === "unknown") throw result.problem;
        return repeated && result.kind === "accepted" ? { ...result, duplicate: true } : result;
      });
    },
    get waitingRows() {
      return commits.waitingRows;
    },
    idle: () => commits.idle(),
  };
}

/** Gives the event its id, and serialises once what every attempt will send. */
function prepare(event: NewEvent): PreparedEvent {
  const id = newId();
  const timestamp = new Date(timeOfId(id)).toISOString();
  // Put together as text: the data is JSON already, and a type needs no escapes.
  const body = [`{"type":"${event.type}","timestamp":"${timestamp}","data":`, event.data, "}"];
  return { ...event, id, body, hash: event.idempotencyKey === undefined ? null : hashOf(event) };
}

/** What an idempotency key stands for: type and data, whatever the white space and the spelling of numbers they were sent with. */
const hashOf = ({ type, data }: NewEvent): Buffer =>
  createHash("sha256")
    .update(`${type}\n${JSON.stringify(parseExactly(data.toString()))}`)
    .digest();

/** One key twice in one request is one event, or a conflict (`unique` undefined): a statement can claim a key only once. */
function foldRepeatedKeys(events: readonly PreparedEvent[]) {
  const firstWithKey = new Map<string, number>();
  const unique: PreparedEvent[] = [];
  const placeOf: { index: number; repeated: boolean }[] = [];
  for (const event of events) {
    const key = event.idempotencyKey === undefined ? undefined : `${event.tenant} ${event.idempotencyKey}`;
    const first = key === undefined ? undefined : firstWithKey.get(key);
    if (first !== undefined) {
      if (!unique[first]!.hash!.equals(event.hash!)) return { unique: undefined, placeOf };
      placeOf.push({ index: first, repeated: true });
      continue;
    }
    if (key !== undefined) firstWithKey.set(key, unique.length);
    placeOf.push({ index: unique.length, repeated: false });
    unique.push(event);
  }
  return { unique, placeOf };
}

async function flush(
  pool: Pool,
  shares: TenantShares,
  requests: readonly AcceptRequest[],
  onBatches: (batches: Batch[]) => void,
): Promise<(Accepted | Unknown)[][]> {
  const events = requests.flatMap((request) => request.events);
  const isAlone = requests.flatMap((request) => request.events.map(() => request.events.length === 1));
  const priorities = prioritiesOf(events, shares);
  const rows = await insertEvents(pool, events, isAlone, events.map(({ tenant }) => priorities.get(tenant)!)); // prettier-ignore
  const batches = rows.filter((row) => row.kind === "batch");
  if (batches.length > 0) {
    onBatches(batches.map(({ id, size, from, to }) => ({ id, size, ...familyRange([from!, to!]) })));
  }
  charge(shares, events, rows, priorities);
  const duplicates = rows.filter(({ kind }) => kind === "duplicate").map(({ id }) => id);
  const counts = await deliveryCounts(pool, duplicates).catch((problem: unknown): Unknown => ({ kind: "unknown", problem })); // prettier-ignore
  const results = rows.filter((row) => row.n !== null).map((row) => toAccepted(row, counts));
  let taken = 0;
  return requests.map((request) => results.slice(taken, (taken += request.events.length)));
}

/** Of every tenant of a flush; those that are over their share alike have the same, and share batches. */
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
  const made = new Map<string, number>();
  for (const { n, kind, size } of rows) {
    if (kind !== "new" || size === 0) continue;
    const { tenant } = events[n! - 1]!;
    made.set(tenant, (made.get(tenant) ?? 0) + size);
  }
  const now = performance.now();
  for (const [tenant, deliveries] of made) shares.charge(tenant, deliveries, priorities.get(tenant)! > 0, now);
}

function toAccepted(row: AcceptRow, counts: ReadonlyMap<string, number> | Unknown): Accepted | Unknown {
  if (row.kind === "conflict") return { kind: "conflict" };
  if (row.kind !== "duplicate") return { kind: "accepted", id: row.id, deliveries: row.size, duplicate: false };
  if ("problem" in counts) return counts;
  return { kind: "accepted", id: row.id, deliveries: counts.get(row.id) ?? 0, duplicate: true };
}
