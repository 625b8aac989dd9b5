import { fromString, fromUUID, toUUID } from "typeid-js";
import { v7 } from "uuid";

/** What an outside id begins with. */
export type IdPrefix = "evt" | "sub" | "dlv" | "att";

/** A fresh UUIDv7, as Postgres keeps it. Ids made by one process rise strictly, also within a millisecond. */
export const newId = (): string => v7();

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
