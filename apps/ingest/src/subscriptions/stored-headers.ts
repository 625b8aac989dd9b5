import { isSensitiveHeader, isSensitiveName, MASK } from "@postrider/shared/core/sensitive-headers.ts";
import type { Pool } from "@postrider/shared/store/pool.ts";
import type { Sealed, StoredHeaders } from "@postrider/shared/store/schema/index.ts";
import { sealsHeaders } from "@postrider/shared/store/schema-range.ts";
import { mapHeaders, openHeader, sealHeaders } from "@postrider/shared/store/sealed-headers.ts";
import type { SecretBox } from "@postrider/shared/store/secret-box.ts";
import { invalid } from "../http/problem.ts";

/** How a subscription's headers are stored. */
export type ToStored = (subscriptionId: string, headers: StoredHeaders) => StoredHeaders;

/**
 * @returns reads how headers are stored now: sealed, or plain while workers run whose code cannot open them (then a worker
 * seals them later)
 */
export function createHeaderStore(pool: Pool, box: SecretBox): () => Promise<ToStored> {
  let isSealing = false;
  return async () => {
    isSealing ||= await sealsHeaders(pool);
    return isSealing ? (id, headers) => sealHeaders(box, id, headers) : (_id, headers) => headers;
  };
}

/**
 * The headers with a mask in the place of each credential, which is not even opened where its name says what it is.
 * Values that are not sealed yet have none: an older ingest beside this one would take it for a value.
 */
export const presentHeaders = (box: SecretBox, id: string, stored: StoredHeaders): Record<string, string> =>
  mapHeaders(stored, (name, value) => presentHeader(box, id, name, value));

function presentHeader(box: SecretBox, id: string, name: string, stored: Sealed | string): string {
  if (typeof stored === "string") return stored;
  if (isSensitiveName(name)) return MASK;
  try {
    const value = openHeader(box, id, name, stored);
    return isSensitiveHeader(name, value) ? MASK : value;
  } catch {
    // One row that no key opens leaves the others of a list readable.
    return MASK;
  }
}

/**
 * The headers that a caller gives, where each mask stands for the value that the subscription has: so an answer can be
 * sent back.
 *
 * @throws Problem invalid_request where there is no value that the mask could stand for
 */
export function keepMasked(
  box: SecretBox,
  id: string,
  given: Readonly<Record<string, string>>,
  stored: StoredHeaders = {},
): StoredHeaders {
  const kept = new Map(Object.entries(stored).map(([name, value]) => [name.toLowerCase(), { name, value }]));
  return mapHeaders(given, (name, value): Sealed | string => {
    if (value !== MASK) return value;
    const known = kept.get(name.toLowerCase());
    if (known && presentHeader(box, id, known.name, known.value) === MASK) return known.value;
    throw invalid({ field: `headers.${name}`, message: "is the mask of a value that is not there: send the value" });
  });
}
