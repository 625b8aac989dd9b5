import { isTenantKey, STRANGERS } from "../callers.ts";
import { FOREIGN_ID } from "../generate/target.ts";
import { OTHER_TENANT } from "../generate/body.ts";
import type { Call } from "../generate/call.ts";

/** The status that the kind of key demands of a call of the API; undefined where any may follow. */
export function statusDemanded(call: Call): readonly number[] | undefined {
  const { server, caller, method, route, isRaw, mutations } = call;
  if (server !== "api" || isRaw || !route.includes(" /v1/")) return undefined;
  const others = mutations.filter((mutation) => mutation !== FOREIGN_ID);
  // A forged delivery is refused before its key is looked at; a path can be mutated into another one.
  if (others.some((mutation) => /^(user-agent|webhook-id|:|chunked)|method (TRACE|QUERY|PROPFIND)/.test(mutation))) {
    return undefined;
  }
  if (STRANGERS.has(caller)) return [401, 429];
  const reads = method === "GET" || method === "HEAD";
  if ((caller === "read-only" && !reads) || (caller === "write-only" && reads)) return [403];
  return isTenantKey(caller) ? demandedOfTenant(call, others) : undefined;
}

/** Refusals of a body, a query or a header, which may come before the id is looked up. */
const BAD_REQUEST = [400, 413, 415];

const TAKES_TENANT = new Set(["POST /v1/events", "POST /v1/events/batch", "POST /v1/subscriptions"]);

/** @param others the mutations beside an id of another tenant */
function demandedOfTenant({ route, mutations }: Call, others: readonly string[]): readonly number[] | undefined {
  if (others.length < mutations.length) {
    if (others.some((mutation) => mutation.startsWith("method "))) return undefined;
    return others.length === 0 ? [404] : [404, ...BAD_REQUEST];
  }
  const isForOther = TAKES_TENANT.has(route) && others.length === 1 && others[0] === OTHER_TENANT;
  return isForOther ? [403] : undefined;
}
