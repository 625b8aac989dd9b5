import type { RequestHandler } from "express";
import { boardError } from "../pages/errors.ts";

/**
 * Refuses changes requested by a page of another origin. Browsers send the origin with every such request; a request
 * without one comes from a script. The cookie's `sameSite=strict` is not enough, because it allows other ports and
 * subdomains of the same site.
 *
 * @param publicUrl where browsers reach the console; undefined where they connect directly, or a trusted proxy forwards
 * host and protocol
 */
export function refuseOtherOrigins(publicUrl: URL | undefined): RequestHandler {
  return (request, response, next) => {
    if (request.method === "GET" || request.method === "HEAD") return next();
    const origin = request.get("origin");
    const site = request.get("sec-fetch-site") ?? "same-origin";
    const isSameOrigin = origin === undefined || origin === (publicUrl?.origin ?? originOf(request));
    if (isSameOrigin && (site === "same-origin" || site === "none")) return next();
    const advice = "Behind a proxy, set PUBLIC_URL to the console's URL in the browser.";
    response.status(403).json(boardError("Refused", `This request came from a page of another origin. ${advice}`));
  };
}

const originOf = ({ protocol, host }: { protocol: string; host: string }): string | undefined =>
  URL.parse(`${protocol}://${host}`)?.origin;
