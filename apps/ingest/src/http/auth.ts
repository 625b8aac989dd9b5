import { hash as digest, timingSafeEqual } from "node:crypto";
import type { Request, RequestHandler } from "express";
import { FailureThrottle } from "@postrider/shared/runtime/failure-throttle.ts";
import type { Context } from "../context.ts";
import { OPERATOR, type Caller, type Scope } from "./caller.ts";
import { createCallerLookup } from "./find-caller.ts";
import { Problem } from "./problem.ts";
import { localsOf } from "./request-locals.ts";

/** Per minute and address. Several callers behind one address may have the same old key. */
const MAX_UNKNOWN_KEYS = 100;

const sha256 = (text: string): Buffer => digest("sha256", text, "buffer");

/**
 * Identifies the caller by `Authorization: Bearer <key>`. Only hashes of keys are kept and compared. Every operator key
 * is compared, also after a match, so that the time taken reveals nothing. Only unknown keys are counted against their
 * address, so a right key is never refused for the failures of others.
 */
export function authenticate({ settings, pool, clientAddress }: Context): RequestHandler {
  const operatorHashes = settings.apiKeys.map(sha256);
  const findCaller = createCallerLookup(pool);
  const throttle = new FailureThrottle(MAX_UNKNOWN_KEYS, () => performance.now());
  return async (request, response, next) => {
    const key = bearerToken(request);
    if (key === undefined) throw unauthorized("send the header Authorization: Bearer <key>");
    const hash = sha256(key);
    let isOperator = false;
    for (const operatorHash of operatorHashes) {
      if (timingSafeEqual(operatorHash, hash)) isOperator = true;
    }
    const caller = isOperator ? OPERATOR : await findCaller(hash);
    if (!caller) {
      const { waitSeconds } = throttle.countFailure(clientAddress(request));
      throw waitSeconds > 0 ? tooManyUnknownKeys(waitSeconds) : unauthorized("this API key is unknown or has expired");
    }
    Object.assign(localsOf(response), { caller });
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

const tooManyUnknownKeys = (waitSeconds: number) =>
  new Problem("too_many_unknown_keys", "this API key is unknown or has expired, like too many from this address", {
    headers: { "retry-after": String(waitSeconds) },
  });
