import { fromString, fromUUID, toUUID } from "typeid-js";

/** The prefix of a public id. */
export type IdPrefix = "evt" | "sub" | "dlv" | "att";

/** A Postgres id as the API writes it: `evt_…` (TypeID, https://github.com/jetify-com/typeid/tree/main/spec). */
export const toPublicId = (prefix: IdPrefix, uuid: string): string => fromUUID(uuid, prefix);

/** The Postgres id of a public id, or undefined if the text is not a TypeID with this prefix. */
export function fromPublicId(prefix: IdPrefix, text: string): string | undefined {
  try {
    return toUUID(fromString(text, prefix));
  } catch {
    return undefined;
  }
}
