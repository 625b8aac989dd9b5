import express, { Router, type Request } from "express";
import { localPath } from "./local-path.ts";
import { USER } from "./password.ts";
import { clearSession, sessionOf, setSession } from "./session-cookie.ts";
import type { Context } from "../context.ts";
import { loginPage, logoutPage } from "../pages/login-page.ts";

/** `/login` and `/logout`. The pages work without scripts. */
export function loginRoutes({ isPassword, sessions, throttle, log }: Context): Router {
  const routes = Router();
  routes.use(
    ["/login", "/logout"],
    express.urlencoded({ extended: false, limit: "4kb" }),
    (_request, response, next) => {
      response.setHeader("cache-control", "no-store");
      next();
    },
  );

  routes.get("/login", (request, response) => {
    const next = localPath(request.query["next"]);
    if (isLoggedIn(request)) return response.redirect(next);
    response.send(loginPage({ next }));
  });

  routes.post("/login", (request, response) => {
    const { user = USER, password, next: requested } = (request.body ?? {}) as Partial<Record<string, unknown>>;
    const next = localPath(requested);
    const address = request.ip ?? "unknown";
    const waitSeconds = throttle.waitSeconds(address);
    if (waitSeconds > 0) {
      response.status(429).setHeader("retry-after", waitSeconds);
      return void response.send(
        loginPage({ next, problem: `Too many failed logins. Try again in ${waitSeconds} seconds.` }),
      );
    }
    if (user !== USER || typeof password !== "string" || !isPassword(password)) {
      throttle.recordFailure(address);
      log.warn({ address, by: "form" }, "login failed");
      return void response.status(401).send(loginPage({ next, problem: "That password is not right." }));
    }
    log.info({ user: USER, address }, "logged in");
    setSession(request, response, sessions.issue());
    response.redirect(303, next);
  });

  routes.get("/logout", (request, response) => {
    if (!isLoggedIn(request)) return response.redirect("/login");
    response.send(logoutPage());
  });

  routes.post("/logout", (request, response) => {
    const session = sessionOf(request);
    if (session !== undefined && sessions.isValid(session)) {
      sessions.revoke(session);
      log.info({ user: USER, address: request.ip }, "logged out");
    }
    clearSession(request, response);
    response.redirect(303, "/login");
  });

  function isLoggedIn(request: Request): boolean {
    const session = sessionOf(request);
    return session !== undefined && sessions.isValid(session);
  }

  return routes;
}
