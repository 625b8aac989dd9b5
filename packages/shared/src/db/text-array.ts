const TEXT_OID = 25;
const HEADER_BYTES = 20;

/**
 * A `text[]` in PostgreSQL's binary format, as a query parameter. The driver would write every element as a quoted
 * literal with its quotes escaped, and the server would take that apart again: for JSON, which is full of quotes,
 * that cost more than the insert.
 *
 * Format: array_send in https://github.com/postgres/postgres/blob/REL_15_STABLE/src/backend/utils/adt/arrayfuncs.c: number of
 * dimensions, null flag, element type, length, lower bound, then length and bytes of each element.
 */
export function textArray(texts: readonly string[]): Buffer {
  const lengths = texts.map((text) => Buffer.byteLength(text));
  const buffer = Buffer.allocUnsafe(lengths.reduce((sum, length) => sum + 4 + length, HEADER_BYTES));
  let at = 0;
  for (const field of [1, 0, TEXT_OID, texts.length, 1]) at = buffer.writeInt32BE(field, at);
  for (const [index, text] of texts.entries()) {
    at = buffer.writeInt32BE(lengths[index]!, at);
    at += buffer.write(text, at);
  }
  return buffer;
}
