import type { Request, RequestHandler } from "express";
import type { Context } from "../context.ts";
import { boardError } from "../errors.ts";
import { USER } from "./password.ts";
import { sessionOf } from "./session-cookie.ts";

/** Lets through who is logged in, by cookie or by HTTP Basic. Others are sent to the login page, scripts get a 401. */
export function authenticate({ isPassword, sessions, throttle, log }: Context): RequestHandler {
  return (request, response, next) => {
    // What is behind the login is not for any cache.
    response.setHeader("cache-control", "no-store");
    const session = sessionOf(request);
    if (session !== undefined && sessions.isValid(session)) return next();
    const basic = basicOf(request);
    if (!basic) {
      if (isPage(request)) return response.redirect(`/login?next=${encodeURIComponent(request.originalUrl)}`);
      challenge();
      return void response.status(401).json(boardError("Not logged in", "Reload the page to log in again."));
    }
    const address = request.ip ?? "unknown";
    const wait = throttle.waitSeconds(address);
    if (wait > 0) {
      response.setHeader("retry-after", wait);
      return void response.status(429).json(boardError("Too many failed logins", `Try again in ${wait} s.`));
    }
    if (basic.user === USER && isPassword(basic.password)) return next();
    throttle.failed(address);
    log.warn({ address, by: "basic" }, "login failed");
    challenge();
    response.status(401).json(boardError("Not logged in", "The user name or the password is wrong."));

    /** For `Basic` browsers would open a dialog of their own over the board. A page's calls name the page, a script's do not. */
    function challenge() {
      const scheme = request.get("referer") === undefined ? "Basic" : "Cookie";
      response.setHeader("www-authenticate", `${scheme} realm="Postrider console", charset="UTF-8"`);
    }
  };
}

const isPage = (request: Request): boolean =>
  (request.method === "GET" || request.method === "HEAD") &&
  !request.path.startsWith("/queues/api/") &&
  request.accepts("html") !== false;

function basicOf(request: Request): { user: string; password: string } | undefined {
  const [scheme, credentials] = (request.get("authorization") ?? "").split(" ");
  if (scheme?.toLowerCase() !== "basic") return undefined;
  const text = Buffer.from(credentials ?? "", "base64").toString();
  const colon = text.indexOf(":");
  return { user: text.slice(0, Math.max(colon, 0)), password: text.slice(colon + 1) };
}
