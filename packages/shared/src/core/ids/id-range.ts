/** Ids from `from` to `to`, both inclusive. A UUIDv7 begins with its time, so an id range is a time range. */
export interface IdRange {
  readonly from: string;
  readonly to: string;
}

export const MIN_ID = "00000000-0000-0000-0000-000000000000";
export const MAX_ID = "ffffffff-ffff-ffff-ffff-ffffffffffff";
const MAX_MS = 2 ** 48 - 1;

/** The smallest id that is larger; MAX_ID has none, and is returned itself. */
export function idAfter(uuid: string): string {
  if (uuid === MAX_ID) return MAX_ID;
  const hex = (BigInt(`0x${uuid.replaceAll("-", "")}`) + 1n).toString(16).padStart(32, "0");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

/** The Unix time in milliseconds at which a UUIDv7 was created: its first 48 bits (RFC 9562, section 5.7). */
export function timeOfId(uuid: string): number {
  return Number.parseInt(uuid.slice(0, 8) + uuid.slice(9, 13), 16);
}

/** The smallest id of a millisecond. As an exclusive upper bound it covers all ids before that millisecond. */
export function firstIdAt(ms: number): string {
  const hex = Math.min(Math.max(Math.floor(ms), 0), MAX_MS)
    .toString(16)
    .padStart(12, "0");
  return `${hex.slice(0, 8)}-${hex.slice(8)}-0000-0000-000000000000`;
}

/** The largest UUIDv7 of the milliseconds before. */
export const lastIdBefore = (ms: number): string => `${firstIdAt(ms - 1).slice(0, 13)}-7fff-bfff-ffffffffffff`;

/** The ids with the same first 8 bytes: an event and all of its deliveries. */
export function family(uuid: string): IdRange {
  const stem = uuid.slice(0, 18);
  return { from: `${stem}-0000-000000000000`, to: `${stem}-ffff-ffffffffffff` };
}

/** The smallest range that contains the families of all these ids (at least one). */
export function familyRange(uuids: readonly string[]): IdRange {
  let min = uuids[0]!;
  let max = min;
  for (const uuid of uuids) {
    if (uuid < min) min = uuid;
    if (uuid > max) max = uuid;
  }
  return { from: family(min).from, to: family(max).to };
}
