import { createHash } from "node:crypto";
import { familyRange, timeOfId } from "@postrider/shared/core/id-range.ts";
import { patternsMatching } from "@postrider/shared/core/event-types.ts";
import { isDataError, isIdempotencyConflict, isMissingPartition } from "@postrider/shared/db/errors.ts";
import { ensurePartitions } from "@postrider/shared/db/partitions.ts";
import type { Pool } from "@postrider/shared/db/pool.ts";
import { textArray } from "@postrider/shared/db/text-array.ts";
import { GroupCommit } from "@postrider/shared/group-commit.ts";
import { newId } from "@postrider/shared/ids.ts";

/** An event as the API took it, validated. */
export interface NewEvent {
  tenant: string;
  type: string;
  /** The JSON text of `data`. */
  data: string;
  idempotencyKey: string | undefined;
}

/** What accept answers for one event. */
export type Accepted = { kind: "accepted"; id: string; deliveries: number; duplicate: boolean } | { kind: "conflict" };

/** Deliveries that became pending in one flush and are dispatched as one job. */
export interface Batch {
  id: string;
  size: number;
  from: string;
  to: string;
}

interface PreparedEvent extends NewEvent {
  id: string;
  body: string;
  hash: Buffer | null;
}

/** A delivered body larger than this is not taken (design: 256 KiB of payload). */
export const MAX_PAYLOAD_BYTES = 256 * 1024;

const EVENT_ROW_BYTES = 200;
const MAX_FLUSH = { rows: 1_000, bytes: 16 * 1024 * 1024 };
const MAX_WAITING = { rows: 20_000, bytes: 64 * 1024 * 1024 };

/**
 * One flush: idempotency keys, events, and one delivery per matching subscription, in one statement and so in one
 * commit. Per row of input it answers `event` with the id that counts and how many deliveries; per 100 deliveries a `batch`.
 *
 * Keys are written in order, so that two flushes that share keys wait for each other instead of deadlocking. An
 * expired key is overwritten. A conflict inside a batch request takes the statement back (refuse_idempotency_conflict),
 * because a batch is all or nothing.
 */
const ACCEPT = `
  with input as materialized (
    select * from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bytea[], $8::boolean[])
      with ordinality as t (id, tenant, type, patterns, body, key, hash, alone, n)
  ), claimed as (
    insert into idempotency_keys as k (tenant, key, body_hash, event_id, expires_at)
    select tenant, key, hash, id, now() + interval '24 hours' from input where key is not null order by tenant, key
    on conflict (tenant, key) do update set
      body_hash = case when k.expires_at <= now() then excluded.body_hash else k.body_hash end,
      event_id = case when k.expires_at <= now() then excluded.event_id else k.event_id end,
      expires_at = case when k.expires_at <= now() then excluded.expires_at else k.expires_at end
    returning k.tenant, k.key, k.body_hash, k.event_id
  ), judged as materialized (
    select i.*, coalesce(c.event_id, i.id) as event_id,
      case
        when c.event_id is null or c.event_id = i.id then 'new'
        when c.body_hash = i.hash then 'duplicate'
        when i.alone then 'conflict'
        else refuse_idempotency_conflict(i.n)::text
      end as verdict
    from input i left join claimed c on c.tenant = i.tenant and c.key = i.key
  ), matched as (
    select j.id as event_id, j.tenant, j.type, wanting.subscription_id, row_number() over (order by j.n) - 1 as number
    from judged j cross join lateral (
      select distinct p.subscription_id from subscription_patterns p
      where p.tenant = j.tenant and p.pattern = any (string_to_array(j.patterns, ','))
    ) wanting
    where j.verdict = 'new'
  ), delivery as (
    insert into deliveries (id, event_id, subscription_id, tenant, event_type, state, batch_id)
    select delivery_id(event_id), event_id, subscription_id, tenant, type, 'pending', batch_id($9, number / 100) from matched
    returning event_id, batch_id
  ), counted as materialized (
    select event_id, count(*)::int as deliveries from delivery group by event_id
  ), event as (
    insert into events (id, tenant, type, body, delivery_count)
    select j.id, j.tenant, j.type, j.body, coalesce(c.deliveries, 0)
    from judged j left join counted c on c.event_id = j.id where j.verdict = 'new'
  )
  select j.n::int, j.verdict as kind, j.event_id as id, coalesce(c.deliveries, 0) as size, null as "from", null as "to"
  from judged j left join counted c on c.event_id = j.id
  union all
  select null, 'batch', batch_id, count(*)::int, min(event_id::text), max(event_id::text) from delivery group by batch_id
  order by 1`;

interface AcceptRow {
  n: number | null;
  kind: "new" | "duplicate" | "conflict" | "batch";
  id: string;
  size: number;
  from: string | null;
  to: string | null;
}

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
export function createAcceptor(pool: Pool, onBatches: (batches: Batch[]) => void): Acceptor {
  const commits = new GroupCommit<AcceptRequest, Accepted[]>({
    flush: (requests) => flush(pool, requests, onBatches),
    isDataError,
    weigh: ({ events, bytes }) => ({ rows: events.length, bytes }),
    keysOf: ({ events }) =>
      events.flatMap(({ tenant, idempotencyKey }) =>
        idempotencyKey === undefined ? [] : `${tenant} ${idempotencyKey}`,
      ),
    maxFlush: MAX_FLUSH,
    maxWaiting: MAX_WAITING,
  });
  return {
    async accept(events) {
      const prepared = events.map(prepare);
      const { unique, placeOf } = foldRepeatedKeys(prepared);
      if (!unique) return prepared.map(() => ({ kind: "conflict" }) as const);
      const bytes = unique.reduce((sum, { body }) => sum + body.length + EVENT_ROW_BYTES, 0);
      const results = await commits.add({ events: unique, bytes }).catch((error: unknown) => {
        // One event of several conflicts, so none was stored.
        if (isIdempotencyConflict(error)) return unique.map(() => ({ kind: "conflict" }) as const);
        throw error;
      });
      return placeOf.map(({ index, repeated }) => {
        const result = results[index]!;
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
  // Put together as text: the data is serialised already, and a type needs no escapes.
  const body = `{"type":"${event.type}","timestamp":"${timestamp}","data":${event.data}}`;
  return { ...event, id, body, hash: event.idempotencyKey === undefined ? null : hashOf(event) };
}

/** What an idempotency key stands for: type and data, whatever the white space they were sent with. */
const hashOf = ({ type, data }: NewEvent): Buffer => createHash("sha256").update(`${type}\n${data}`).digest();

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
  requests: readonly AcceptRequest[],
  onBatches: (batches: Batch[]) => void,
): Promise<Accepted[][]> {
  const events = requests.flatMap((request) => request.events);
  const rows = await insert(pool, requests, events);
  const batches = rows.filter((row) => row.kind === "batch");
  if (batches.length > 0) {
    onBatches(batches.map(({ id, size, from, to }) => ({ id, size, ...familyRange([from!, to!]) })));
  }
  const duplicates = rows.filter(({ kind }) => kind === "duplicate").map(({ id }) => id);
  const counts = await deliveryCounts(pool, duplicates);
  const results = rows.filter((row) => row.n !== null).map((row) => toAccepted(row, counts));
  let taken = 0;
  return requests.map((request) => results.slice(taken, (taken += request.events.length)));
}

function toAccepted(row: AcceptRow, counts: ReadonlyMap<string, number>): Accepted {
  if (row.kind === "conflict") return { kind: "conflict" };
  const duplicate = row.kind === "duplicate";
  return { kind: "accepted", id: row.id, deliveries: duplicate ? (counts.get(row.id) ?? 0) : row.size, duplicate };
}

async function insert(
  pool: Pool,
  requests: readonly AcceptRequest[],
  events: readonly PreparedEvent[],
): Promise<AcceptRow[]> {
  const statement = {
    name: "accept",
    text: ACCEPT,
    values: [
      events.map(({ id }) => id),
      events.map(({ tenant }) => tenant),
      events.map(({ type }) => type),
      events.map(({ type }) => patternsMatching(type).join(",")),
      textArray(events.map(({ body }) => body)),
      events.map(({ idempotencyKey }) => idempotencyKey ?? null),
      events.map(({ hash }) => hash),
      requests.flatMap(({ events }) => events.map(() => events.length === 1)),
      newId(),
    ],
  };
  try {
    return (await pool.query<AcceptRow>(statement)).rows;
  } catch (error) {
    if (!isMissingPartition(error)) throw error;
    const times = events.map(({ id }) => timeOfId(id));
    await ensurePartitions(pool, Math.min(...times), Math.max(...times));
    return (await pool.query<AcceptRow>(statement)).rows;
  }
}

/** How many deliveries the first use of a key made. A statement of its own: the first use may have committed after ours began. */
async function deliveryCounts(pool: Pool, eventIds: readonly string[]): Promise<Map<string, number>> {
  if (eventIds.length === 0) return new Map();
  const { from, to } = familyRange(eventIds);
  const { rows } = await pool.query<{ id: string; count: number }>({
    name: "delivery-counts",
    text: "select id, delivery_count as count from events where id = any($1::uuid[]) and id between $2 and $3",
    values: [eventIds, from, to],
  });
  return new Map(rows.map(({ id, count }) => [id, count]));
}
