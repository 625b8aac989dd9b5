import { newId } from "@postrider/shared/runtime/new-id.ts";
import { isMissingPartition } from "@postrider/shared/store/errors.ts";
import { ensurePartitionsOf } from "@postrider/shared/store/partitions.ts";
import type { Pool } from "@postrider/shared/store/pool.ts";
import { acceptEvents, type AcceptedEvent, type AcceptRow } from "@postrider/shared/store/sql/accept.ts";

/** Stores events and their deliveries in one commit, and creates a missing partition on the way. */
export async function insertEvents(pool: Pool, events: readonly AcceptedEvent[]): Promise<AcceptRow[]> {
  const batchSeed = newId();
  try {
    return await acceptEvents(pool, events, batchSeed);
  } catch (error) {
    if (!isMissingPartition(error)) throw error;
    const ids = events.map(({ id }) => id);
    await ensurePartitionsOf(pool, ids);
    return acceptEvents(pool, events, batchSeed);
  }
}
