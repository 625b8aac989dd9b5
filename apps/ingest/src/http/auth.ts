import { hash as digest, timingSafeEqual } from "node:crypto";
import type { Request, RequestHandler } from "express";
import type { Pool } from "@postrider/shared/store/pool.ts";
import { findApiKey } from "@postrider/shared/store/sql/find-api-key.ts";
import { OPERATOR, type Caller, type Scope } from "./caller.ts";
import { Problem } from "./problem.ts";
import { localsOf } from "./request-locals.ts";

/** A key that is revoked in the table keeps working this long. */
const CACHE_MS = 10_000;
const CACHE_SIZE = 10_000;

const sha256 = (text: string): Buffer => digest("sha256", text, "buffer");

/**
 * Identifies the caller by `Authorization: Bearer <key>`. Only hashes of keys are kept and compared. Every operator key
 * is compared, also after a match, so that the time taken reveals nothing.
 *
 * @param operatorKeys the setting API_KEYS
 */
export function authenticate(operatorKeys: readonly string[], pool: Pool): RequestHandler {
  const operatorHashes = operatorKeys.map(sha256);
  const findCaller = createCachedLookup(pool);
  return async (request, response, next) => {
    const key = bearerToken(request);
    if (key === undefined) throw unauthorized("send the header Authorization: Bearer <key>");
    const hash = sha256(key);
    let isOperator = false;
    for (const operatorHash of operatorHashes) {
      if (timingSafeEqual(operatorHash, hash)) isOperator = true;
    }
    const caller = isOperator ? OPERATOR : await findCaller(hash);
    if (!caller) throw unauthorized("this API key is unknown or has expired");
    Object.assign(localsOf(response), { caller });
    requireScope(caller, request.method === "GET" || request.method === "HEAD" ? "read" : "write");
    next();
  };
}

/** Unknown keys are cached too, so that a caller with a wrong key costs Postgres nothing. */
function createCachedLookup(pool: Pool): (hash: Buffer) => Promise<Caller | undefined> {
  const cache = new Map<string, { caller: Caller | undefined; expiresAt: number }>();
  return async (hash) => {
    const cacheKey = hash.toString("base64");
    const cached = cache.get(cacheKey);
    if (cached && cached.expiresAt > performance.now()) return cached.caller;
    const row = await findApiKey(pool, hash);
    const caller = row && { tenant: row.tenant ?? undefined, scopes: new Set(row.scopes) };
    if (cache.size >= CACHE_SIZE) cache.clear();
    cache.set(cacheKey, { caller, expiresAt: performance.now() + CACHE_MS });
    return caller;
  };
}

function requireScope(caller: Caller, scope: Scope): void {
  if (!caller.scopes.has(scope)) throw new Problem("forbidden", `this API key lacks the scope "${scope}"`);
}

function bearerToken(request: Request): string | undefined {
  const match = /^Bearer +([^\s]+) *$/i.exec(request.headers.authorization ?? "");
  return match?.[1];
}

const unauthorized = (detail: string) =>
  new Problem("unauthorized", detail, { headers: { "www-authenticate": "Bearer" } });
