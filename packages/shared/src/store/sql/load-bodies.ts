import { familyRange } from "../../core/ids/id-range.ts";
import type { Queryable } from "../pool.ts";

interface BodyRow {
  /** The event. */
  id: string;
  body: string;
}

const TEXT = "select id, body from events where id = any ($1::uuid[]) and id between $2 and $3";

/** Loads the bodies of events (at least one), without unknown events. */
export async function loadBodyRows(db: Queryable, eventIds: readonly string[]): Promise<BodyRow[]> {
  const { from, to } = familyRange(eventIds);
  const { rows } = await db.query<BodyRow>({ name: "load-bodies", text: TEXT, values: [eventIds, from, to] });
  return rows;
}
