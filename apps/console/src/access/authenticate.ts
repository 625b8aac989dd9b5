import type { Request, RequestHandler } from "express";
import type { Context } from "../context.ts";
import { boardError } from "../pages/errors.ts";
import { USER } from "./password.ts";

/** Requires a session cookie or HTTP Basic. Pages redirect to the login, other requests get a 401. */
export function authenticate({ isPassword, sessions, sessionCookie, attemptLogin }: Context): RequestHandler {
  return async (request, response, next) => {
    // Nothing behind the login may be cached.
    response.setHeader("cache-control", "no-store");
    if (await sessions.isValid(sessionCookie.read(request))) return next();
    const basic = basicOf(request);
    if (!basic) {
      if (isPage(request)) return response.redirect(`/login?next=${encodeURIComponent(request.originalUrl)}`);
      challenge();
      return void response.status(401).json(boardError("Not logged in", "Reload the page to log in again."));
    }
    const { user, password } = basic;
    const result = await attemptLogin(request, "basic", () => user === USER && isPassword(password));
    if (result === "right") return next();
    const { waitSeconds } = result;
    if (waitSeconds > 0) {
      response.setHeader("retry-after", waitSeconds);
      return void response.status(429).json(boardError("Too many failed logins", `Try again in ${waitSeconds} s.`));
    }
    challenge();
    response.status(401).json(boardError("Not logged in", "The user name or the password is wrong."));

    /**
     * `Basic` would open the browser's own dialog over the board. Calls of the page have a referer, a script's none.
     */
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
