/** The place of a held delivery in the order of its subscription: longest held first. */
export interface HeldPosition {
  /** A timestamp as Postgres prints it. */
  heldAt: string;
  id: string;
}

/** Before all others. */
export const NO_POSITION: HeldPosition = { heldAt: "-infinity", id: "00000000-0000-0000-0000-000000000000" };
