import type { Sealed, StoredHeaders } from "./schema/subscriptions.ts";
import { headerOwner } from "./seal-owners.ts";
import type { SecretBox } from "./secret-box.ts";

/** Seals the values that are not sealed yet. */
export const sealHeaders = (box: SecretBox, subscriptionId: string, headers: StoredHeaders): StoredHeaders =>
  mapHeaders(headers, (name, value) =>
    typeof value === "string" ? box.seal(Buffer.from(value), headerOwner(subscriptionId, name)) : value,
  );

/** @throws Error if no key opens the value */
export const openHeader = (box: SecretBox, subscriptionId: string, name: string, value: Sealed | string): string =>
  typeof value === "string" ? value : box.open(value, headerOwner(subscriptionId, name)).toString();

export const mapHeaders = <From, To>(
  headers: Readonly<Record<string, From>>,
  map: (name: string, value: From) => To,
): Record<string, To> => Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, map(name, value)]));
