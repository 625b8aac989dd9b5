import { createHash } from "node:crypto";
import { eventBody } from "@postrider/shared/core/event/body.ts";
import { timeOfId } from "@postrider/shared/core/ids/id-range.ts";
import { newId } from "@postrider/shared/runtime/new-id.ts";

/** A valid event of a request. */
export interface NewEvent {
  tenant: string;
  type: string;
  /** The JSON text of `data` in UTF-8, as it was sent. */
  data: Buffer;
  idempotencyKey: string | undefined;
  /** What the key stands for, where it is not the event's own but its batch's. */
  bodyHash?: Buffer;
  /** The key of its batch, on the batch's first event of each tenant. */
  batch?: { key: string; hash: Buffer } | undefined;
}

/** An event with its id, the body that every attempt sends, and the hash that its idempotency key stands for. */
export interface PreparedEvent extends NewEvent {
  id: string;
  body: ReturnType<typeof eventBody>;
  /** Null without an idempotency key. */
  hash: Buffer | null;
}

export function prepare(event: NewEvent): PreparedEvent {
  const id = newId();
  const timestamp = new Date(timeOfId(id)).toISOString();
  const body = eventBody(event.type, timestamp, event.data);
  return { ...event, id, body, hash: event.idempotencyKey === undefined ? null : (event.bodyHash ?? hashOf(event)) };
}

/** An idempotency key stands for the bytes of type and data as they were sent. */
const hashOf = ({ type, data }: NewEvent): Buffer => createHash("sha256").update(`${type}\n`).update(data).digest();

/** An event's idempotency key, unique among all tenants; undefined where it has none. */
const keyOf = ({ tenant, idempotencyKey }: NewEvent): string | undefined =>
  idempotencyKey === undefined ? undefined : `${tenant} ${idempotencyKey}`;

/** All keys that an event's row claims. */
export const keysOf = ({ tenant, idempotencyKey, batch }: NewEvent): string[] =>
  [idempotencyKey, batch?.key].filter((key) => key !== undefined).map((key) => `${tenant} ${key}`);

/**
 * Merges the events of one request that share an idempotency key, because a statement can claim a key only once.
 *
 * @returns the distinct events, and for each event given, the place of the one that stands for it; or the index of an
 *   event that differs from an earlier one with the same key
 */
export function mergeRepeatedKeys(
  events: readonly PreparedEvent[],
): { distinct: PreparedEvent[]; places: { index: number; isRepeat: boolean }[] } | { conflict: number } {
  const indexByKey = new Map<string, number>();
  const distinct: PreparedEvent[] = [];
  const places: { index: number; isRepeat: boolean }[] = [];
  for (const [position, event] of events.entries()) {
    const key = keyOf(event);
    const first = key === undefined ? undefined : indexByKey.get(key);
    if (first !== undefined) {
      if (!distinct[first]!.hash!.equals(event.hash!)) return { conflict: position };
      places.push({ index: first, isRepeat: true });
      continue;
    }
    if (key !== undefined) indexByKey.set(key, distinct.length);
    places.push({ index: distinct.length, isRepeat: false });
    distinct.push(event);
  }
  return { distinct, places };
}
