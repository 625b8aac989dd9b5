import type { CookieOptions, Request, Response } from "express";
import { SESSION_MS } from "./sessions.ts";

const NAME = "postrider_console";

/** `strict`: browsers never send it with a request of another site. `secure` where the page came over https. */
const options = (request: Request): CookieOptions => ({
  httpOnly: true,
  sameSite: "strict",
  secure: request.secure,
  path: "/",
});

export function sessionOf(request: Request): string | undefined {
  for (const pair of (request.headers.cookie ?? "").split(";")) {
    const [name, value] = pair.trim().split("=");
    if (name === NAME && value) return value;
  }
  return undefined;
}

export function setSession(request: Request, response: Response, token: string): void {
  response.cookie(NAME, token, { ...options(request), maxAge: SESSION_MS });
}

export function clearSession(request: Request, response: Response): void {
  response.clearCookie(NAME, options(request));
}
