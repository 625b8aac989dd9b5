import { randomFillSync } from "node:crypto";
import { v7 } from "uuid";

const RANDOM_BYTES = 16;
/** Random bytes for 256 ids. A system call per id would cost four times as much as the rest of newId(). */
const pool = Buffer.alloc(256 * RANDOM_BYTES);
let used = pool.length;
const latest = { msecs: -1, seq: 0 };

/**
 * Creates a UUIDv7. The ids of one process increase strictly: within a millisecond a 32-bit sequence counts from a
 * random 31-bit start (RFC 9562, section 6.2, method 1).
 */
export function newId(): string {
  if (used === pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  const random = pool.subarray(used, (used += RANDOM_BYTES));
  const msecs = Date.now();
  if (msecs > latest.msecs) {
    latest.msecs = msecs;
    latest.seq = random.readUInt32BE() >>> 1;
  } else latest.seq += 1;
  return v7({ random, msecs: latest.msecs, seq: latest.seq });
}
