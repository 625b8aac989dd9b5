import { STRANGERS } from "../callers.ts";
import type { Call } from "../generate/call.ts";

/** The status that the kind of key demands of a call of the API; undefined where any may follow. */
export function statusDemanded({
  server,
  caller,
  method,
  route,
  isRaw,
  mutations,
}: Call): readonly number[] | undefined {
  if (server !== "api" || isRaw || !route.includes(" /v1/")) return undefined;
  // A forged delivery is refused before its key is looked at; a path can be mutated into another one.
  if (mutations.some((mutation) => /^(user-agent|webhook-id|:|chunked)|method (TRACE|QUERY|PROPFIND)/.test(mutation))) {
    return undefined;
  }
  if (STRANGERS.has(caller)) return [401, 429];
  const reads = method === "GET" || method === "HEAD";
  if ((caller === "read-only" && !reads) || (caller === "write-only" && reads)) return [403];
  return undefined;
}
