import type { Question } from "./ask-server.ts";
import type { Rank } from "./lookup-places.ts";
import type { LookupResult } from "./lookup-result.ts";

/** A caller of a look-up. */
export interface Waiter {
  tenant: string;
  timeoutMs: number;
  /** Milliseconds of `performance.now()`. */
  since: number;
  onResult: (result: LookupResult) => void;
  timer: NodeJS.Timeout | undefined;
}

/** A look-up that is under way or waits for its turn, and its callers. */
export interface Pending {
  name: string;
  rank: Rank;
  since: number;
  waiters: Set<Waiter>;
  /** Undefined while it waits for its turn. */
  running: Running | undefined;
}

interface Running {
  /** It has a place of this tenant. */
  tenant: string;
  question: Question;
  /** Ends the quiet time. */
  quiet: NodeJS.Timeout;
}
