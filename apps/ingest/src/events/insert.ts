import { timeOfId } from "@postrider/shared/core/ids/id-range.ts";
import { clock, now } from "@postrider/shared/runtime/clock.ts";
import { newId } from "@postrider/shared/runtime/new-id.ts";
import { isMissingPartition, isOldIds, largeFanOutsOf } from "@postrider/shared/store/errors.ts";
import { ensurePartitionsOf } from "@postrider/shared/store/partitions.ts";
import { runStatement, type Pool } from "@postrider/shared/store/pool.ts";
import { acceptEvents } from "@postrider/shared/store/sql/accept.ts";
import { acceptLargeFanOuts } from "@postrider/shared/store/sql/accept-large-fan-outs.ts";
import type { AcceptedEvent, AcceptRow } from "@postrider/shared/store/accept-steps.ts";
import type { FanOuts } from "./fan-outs.ts";
import { prepare, type PreparedEvent } from "./prepare.ts";

/** Postgres refuses ids that are twice as old. */
const MAX_ID_AGE_MS = 1_000;

type InsertedEvent = PreparedEvent & AcceptedEvent;

interface InsertParts {
  pool: Pool;
  fanOuts: FanOuts;
}

/**
 * Stores events and their deliveries in one commit. An event that waited long gets a new id: a reader of the newest events
 * waits for ids that may still come (store/sql/read-settled-time.ts), and the wait must be short.
 *
 * @throws DatabaseError largeFanOutsOf (store/errors.ts) if the fan-outs were not known. They are then, so that the same
 *   events can be stored, each with what costs as much
 */
export async function insertEvents(parts: InsertParts, events: readonly InsertedEvent[]): Promise<AcceptRow[]> {
  try {
    return await insert(parts, events);
  } catch (error) {
    if (!isOldIds(error)) throw error;
    // This process's clock is behind Postgres's, most likely after a failover.
    await clock.synchronize(parts.pool);
    return insert(parts, events);
  }
}

function withFreshId(event: InsertedEvent): InsertedEvent {
  return now() - timeOfId(event.id) > MAX_ID_AGE_MS ? { ...event, ...prepare(event) } : event;
}

/** Events with few deliveries take a statement that costs less, and fails if it finds others. */
async function insert({ pool, fanOuts }: InsertParts, events: readonly InsertedEvent[]): Promise<AcceptRow[]> {
  if (fanOuts.estimate(events, performance.now()) > 0) return insertBy(acceptLargeFanOuts, pool, events);
  try {
    return await insertBy(acceptEvents, pool, events);
  } catch (error) {
    const large = largeFanOutsOf(error);
    if (large === undefined) throw error;
    // None of them has many deliveries, but all together have.
    if (large.length === 0) return insertBy(acceptLargeFanOuts, pool, events);
    for (const n of large) fanOuts.find(events[n - 1]!, performance.now());
    throw error;
  }
}

/** Runs a statement, and creates a missing partition on the way. */
async function insertBy(
  statement: typeof acceptEvents,
  pool: Pool,
  events: readonly InsertedEvent[],
): Promise<AcceptRow[]> {
  const batchSeed = newId();
  let fresh = events;
  // Waiting for a connection may take seconds, so ids are judged after it.
  const run = () =>
    runStatement(pool, (client) => {
      fresh = fresh.map(withFreshId);
      return statement(client, fresh, batchSeed);
    });
  try {
    return await run();
  } catch (error) {
    if (!isMissingPartition(error)) throw error;
    const ids = fresh.map(({ id }) => id);
    await ensurePartitionsOf(pool, ids);
    return run();
  }
}
