import { randomFillSync } from "node:crypto";
import { v7 } from "uuid";
import { now } from "./clock.ts";

const RANDOM_BYTES = 16;
/** Random bytes for 256 ids. A system call per id would cost four times as much as the rest of newId(). */
const pool = Buffer.alloc(256 * RANDOM_BYTES);
let used = pool.length;
/**
 * If the clock is further behind the latest id, it was ahead before. Ids that went on from the latest one would have a
 * time in the future, and all the same one, until the clock has caught up.
 */
const MAX_AHEAD_MS = 1_000;
const MAX_SEQUENCE = 2 ** 32 - 1;
const SEQUENCE_STEP = 2 ** 20;

/** Creates a UUIDv7, by Postgres's clock. */
export const newId = createIdSource(now);

/**
 * Ids of one source increase strictly, as long as its clock does not go back by more than a second: within a
 * millisecond a 32-bit sequence counts from a random 31-bit start (RFC 9562, section 6.2, method 1). Its upper 12 bits
 * are in the first 8 bytes of an id, and count: an event has a family of its own (core/ids/id-range.ts), unless another
 * process takes the same one of 4,096 in the same millisecond.
 *
 * @param now Unix milliseconds
 */
export function createIdSource(now: () => number): () => string {
  const latest = { msecs: -1, seq: 0 };
  return () => {
    if (used === pool.length) {
      randomFillSync(pool);
      used = 0;
    }
    const random = pool.subarray(used, (used += RANDOM_BYTES));
    const msecs = now();
    const isNewTime = msecs > latest.msecs || msecs < latest.msecs - MAX_AHEAD_MS;
    const isFull = latest.seq + SEQUENCE_STEP > MAX_SEQUENCE;
    if (isNewTime || isFull) {
      latest.msecs = isNewTime ? msecs : latest.msecs + 1;
      latest.seq = random.readUInt32BE() >>> 1;
    } else latest.seq += SEQUENCE_STEP;
    return v7({ random, msecs: latest.msecs, seq: latest.seq });
  };
}
