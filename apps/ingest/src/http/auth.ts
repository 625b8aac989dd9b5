import { hash as digest, timingSafeEqual } from "node:crypto";
import type { Request, RequestHandler, Response } from "express";
import type { Pool } from "@postrider/shared/store/pool.ts";
import { Problem } from "./problem.ts";

const SCOPES = ["read", "write"] as const;
type Scope = (typeof SCOPES)[number];

/** Who is calling. `tenant` undefined is an operator, who sees every tenant. */
export interface Caller {
  tenant: string | undefined;
  scopes: ReadonlySet<string>;
}

const OPERATOR: Caller = { tenant: undefined, scopes: new Set(SCOPES) };
/** A key that was revoked in the table keeps working this long. */
const CACHE_MS = 10_000;
const CACHE_SIZE = 10_000;

const sha256 = (text: string): Buffer => digest("sha256", text, "buffer");

export const callerOf = (response: Response): Caller => response.locals["caller"] as Caller;

/**
 * Knows the caller by `Authorization: Bearer <key>`. Only hashes of keys are kept and compared, and every operator key
 * is compared whatever the others gave, so that the time taken tells nothing.
 *
 * @param operatorKeys the setting API_KEYS
 */
export function authenticate(operatorKeys: readonly string[], pool: Pool): RequestHandler {
  const operatorHashes = operatorKeys.map(sha256);
  const cache = new Map<string, { caller: Caller | undefined; until: number }>();

  async function lookUp(hash: Buffer): Promise<Caller | undefined> {
    const cacheKey = hash.toString("base64");
    const cached = cache.get(cacheKey);
    if (cached && cached.until > Date.now()) return cached.caller;
    const { rows } = await pool.query<{ tenant: string | null; scopes: string[] }>({
      name: "find-api-key",
      text: "select tenant, scopes from api_keys where hash = $1 and (expires_at is null or expires_at > now())",
      values: [hash],
    });
    const caller = rows[0] && { tenant: rows[0].tenant ?? undefined, scopes: new Set(rows[0].scopes) };
    if (cache.size >= CACHE_SIZE) cache.clear();
    cache.set(cacheKey, { caller, until: Date.now() + CACHE_MS });
    return caller;
  }

  return async (request, response, next) => {
    const key = bearerToken(request);
    if (key === undefined) throw unauthorized("send the header Authorization: Bearer <key>");
    const hash = sha256(key);
    let isOperator = false;
    for (const operatorHash of operatorHashes) {
      if (timingSafeEqual(operatorHash, hash)) isOperator = true;
    }
    const caller = isOperator ? OPERATOR : await lookUp(hash);
    if (!caller) throw unauthorized("this API key is not known");
    response.locals["caller"] = caller;
    requireScope(caller, request.method === "GET" || request.method === "HEAD" ? "read" : "write");
    next();
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
