import { randomFillSync } from "node:crypto";
import { fromString, fromUUID, toUUID } from "typeid-js";
import { v7 } from "uuid";

/** What an outside id begins with. */
export type IdPrefix = "evt" | "sub" | "dlv" | "att";

const RANDOM_BYTES = 16;
/** Random bytes for 256 ids: asking the system for each id alone costs four times as much as all the rest of it. */
const pool = Buffer.alloc(256 * RANDOM_BYTES);
let taken = pool.length;
const latest = { msecs: -1, seq: 0 };

/**
 * A fresh UUIDv7, as Postgres keeps it. Ids made by one process rise strictly: within a millisecond a 32-bit sequence
 * counts from a random 31-bit start (RFC 9562, section 6.2, method 1).
 */
export function newId(): string {
  if (taken === pool.length) {
    randomFillSync(pool);
    taken = 0;
  }
  const random = pool.subarray(taken, (taken += RANDOM_BYTES));
  const msecs = Date.now();
  if (msecs > latest.msecs) {
    latest.msecs = msecs;
    latest.seq = random.readUInt32BE() >>> 1;
  } else latest.seq += 1;
  return v7({ random, msecs: latest.msecs, seq: latest.seq });
}

/** A Postgres id as the API writes it: `evt_…` (TypeID, https://github.com/jetify-com/typeid/tree/main/spec). */
export const toPublicId = (prefix: IdPrefix, uuid: string): string => fromUUID(uuid, prefix);

/** The Postgres id behind an outside id, or undefined where the text is not a TypeID with this prefix. */
export function fromPublicId(prefix: IdPrefix, text: string): string | undefined {
  try {
    return toUUID(fromString(text, prefix));
  } catch {
    return undefined;
  }
}
