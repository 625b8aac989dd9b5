import type { RequestHandler } from "express";
import { boardError } from "../errors.ts";

/**
 * Refuses a change that a page of another origin asks for. Every browser names the origin with such a request; what
 * names none is a script, which no other site can have sent on somebody's behalf. This stands beside `sameSite=strict`,
 * which lets other ports and subdomains of the same site through.
 */
export const refuseOtherOrigins: RequestHandler = (request, response, next) => {
  if (request.method === "GET" || request.method === "HEAD") return next();
  const origin = request.get("origin");
  const site = request.get("sec-fetch-site") ?? "same-origin";
  const isOwn = origin === undefined || origin === `${request.protocol}://${request.host}`;
  if (isOwn && (site === "same-origin" || site === "none")) return next();
  response.status(403).json(boardError("Refused", "This request came from a page of another origin."));
};
