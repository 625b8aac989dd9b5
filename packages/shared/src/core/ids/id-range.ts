/** Ids from `from` to `to`, both included. A UUIDv7 begins with its time, so an id range is a time range. */
export interface IdRange {
  readonly from: string;
  readonly to: string;
}

export const MAX_ID = "ffffffff-ffff-ffff-ffff-ffffffffffff";
const MAX_MS = 2 ** 48 - 1;

/** The Unix time in milliseconds that a UUIDv7 was made at (RFC 9562, section 5.7: its first 48 bits). */
export function timeOfId(uuid: string): number {
  return Number.parseInt(uuid.slice(0, 8) + uuid.slice(9, 13), 16);
}

/** The lowest id of a millisecond; as an exclusive upper bound, every id before it. */
export function firstIdAt(ms: number): string {
  const hex = Math.min(Math.max(Math.floor(ms), 0), MAX_MS)
    .toString(16)
    .padStart(12, "0");
  return `${hex.slice(0, 8)}-${hex.slice(8)}-0000-0000-000000000000`;
}

/** The ids that share their first 8 bytes with this one: an event, and every delivery of it. */
export function family(uuid: string): IdRange {
  const stem = uuid.slice(0, 18);
  return { from: `${stem}-0000-000000000000`, to: `${stem}-ffff-ffffffffffff` };
}

/** The smallest range that holds the families of all these ids (at least one). */
export function familyRange(uuids: readonly string[]): IdRange {
  let lowest = uuids[0]!;
  let highest = lowest;
  for (const uuid of uuids) {
    if (uuid < lowest) lowest = uuid;
    if (uuid > highest) highest = uuid;
  }
  return { from: family(lowest).from, to: family(highest).to };
}
