import type { Answer } from "./ask-server.ts";

/** The result of a look-up. */
export type LookupResult = Answer | Unavailable;

/** There is no answer for a reason of our own: it says nothing about the name. */
export interface Unavailable {
  kind: "unavailable";
  /** Our DNS servers do not answer, or too many names are being looked up. */
  reason: "no_server" | "busy";
  /** When another look-up may succeed. */
  retryInMs: number;
}
