import { MIN_ID } from "../core/ids/id-range.ts";

/** The place of a held delivery in the order of its subscription: longest held first. */
export interface HeldPosition {
  /** A timestamp as Postgres prints it. */
  heldAt: string;
  id: string;
}

/** Before all others. */
export const NO_POSITION: HeldPosition = { heldAt: "-infinity", id: MIN_ID };
