const TEXT_OID = 25;
const HEADER_BYTES = 20;

/** The parts of a text; bytes are UTF-8. */
export type TextParts = readonly (string | Buffer)[];

/**
 * Encodes a `text[]` in PostgreSQL's binary format, as a query parameter. The driver would escape every quote and the
 * server would parse the result, which for JSON cost more than the insert.
 *
 * Format: number of dimensions, null flag, element type, length, lower bound, then length and bytes of each element
 * (array_send in https://github.com/postgres/postgres/blob/REL_15_STABLE/src/backend/utils/adt/arrayfuncs.c).
 */
export function textArray(texts: readonly TextParts[]): Buffer {
  const lengths = texts.map((parts) => parts.reduce((sum, part) => sum + Buffer.byteLength(part), 0));
  const buffer = Buffer.allocUnsafe(lengths.reduce((sum, length) => sum + 4 + length, HEADER_BYTES));
  let at = 0;
  for (const field of [1, 0, TEXT_OID, texts.length, 1]) at = buffer.writeInt32BE(field, at);
  for (const [index, parts] of texts.entries()) {
    at = buffer.writeInt32BE(lengths[index]!, at);
    for (const part of parts) at += typeof part === "string" ? buffer.write(part, at) : part.copy(buffer, at);
  }
  return buffer;
}
