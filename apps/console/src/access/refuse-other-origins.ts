import type { RequestHandler } from "express";
import { boardError } from "../pages/errors.ts";

/**
 * Refuses changes requested by a page of another origin. Browsers send the origin with every such request; a request
 * without one comes from a script. The cookie's `sameSite=strict` is not enough, because it allows other ports and
 * subdomains of the same site.
 */
export const refuseOtherOrigins: RequestHandler = (request, response, next) => {
  if (request.method === "GET" || request.method === "HEAD") return next();
  const origin = request.get("origin");
  const site = request.get("sec-fetch-site") ?? "same-origin";
  const isSameOrigin = origin === undefined || origin === `${request.protocol}://${request.host}`;
  if (isSameOrigin && (site === "same-origin" || site === "none")) return next();
  response.status(403).json(boardError("Refused", "This request came from a page of another origin."));
};
