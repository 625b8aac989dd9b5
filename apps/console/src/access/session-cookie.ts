import type { CookieOptions, Request, Response } from "express";
import { SESSION_MS } from "./sessions.ts";

const NAME = "postrider_console";

/**
 * The cookie that holds a session. Where pages come over https it is `Secure`, and the prefix `__Host-` keeps other
 * servers of the same site from setting it.
 *
 * @param publicUrl where browsers reach the console; undefined leaves the protocol to each request
 */
export function createSessionCookie(publicUrl: URL | undefined) {
  const isSecure = (request: Request): boolean => (publicUrl ? publicUrl.protocol === "https:" : request.secure);
  const nameOf = (request: Request): string => (isSecure(request) ? `__Host-${NAME}` : NAME);

  /** `strict`: browsers never send it with a request of another site. */
  const options = (request: Request): CookieOptions => ({
    httpOnly: true,
    sameSite: "strict",
    secure: isSecure(request),
    path: "/",
  });

  return {
    read(request: Request): string | undefined {
      const wanted = nameOf(request);
      for (const pair of (request.headers.cookie ?? "").split(";")) {
        const [name, value] = pair.trim().split("=");
        if (name === wanted && value) return value;
      }
      return undefined;
    },
    set(request: Request, response: Response, token: string): void {
      response.cookie(nameOf(request), token, { ...options(request), maxAge: SESSION_MS });
    },
    clear(request: Request, response: Response): void {
      response.clearCookie(nameOf(request), options(request));
    },
  };
}
