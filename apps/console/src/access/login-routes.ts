import express, { Router } from "express";
import { localPath } from "./local-path.ts";
import { USER } from "./password.ts";
import type { Context } from "../context.ts";
import { loginPage, logoutPage } from "../pages/login-page.ts";

/** `/login` and `/logout`. The pages work without scripts. */
export function loginRoutes({ isPassword, sessions, sessionCookie, attemptLogin, log }: Context): Router {
  const routes = Router();
  routes.use(
    ["/login", "/logout"],
    express.urlencoded({ extended: false, limit: "4kb" }),
    (_request, response, next) => {
      response.setHeader("cache-control", "no-store");
      next();
    },
  );

  routes.get("/login", async (request, response) => {
    const next = localPath(request.query["next"]);
    if (await sessions.isValid(sessionCookie.read(request))) return response.redirect(next);
    response.send(loginPage({ next }));
  });

  routes.post("/login", async (request, response) => {
    const { user = USER, password, next: requested } = (request.body ?? {}) as Partial<Record<string, unknown>>;
    const next = localPath(requested);
    const isRight = () => user === USER && typeof password === "string" && isPassword(password);
    const result = await attemptLogin(request, "form", isRight);
    if (result !== "right") {
      const { waitSeconds, wasChecked } = result;
      const wrong = wasChecked ? "That password is not right. " : "";
      if (waitSeconds === 0) return void response.status(401).send(loginPage({ next, problem: wrong.trim() }));
      const problem = `${wrong}Too many logins failed: wait for ${waitSeconds} seconds.`;
      return void response.status(429).setHeader("retry-after", waitSeconds).send(loginPage({ next, problem }));
    }
    log.info({ user: USER, address: request.ip }, "logged in");
    sessionCookie.set(request, response, sessions.issue());
    response.redirect(303, next);
  });

  routes.get("/logout", async (request, response) => {
    if (!(await sessions.isValid(sessionCookie.read(request)))) return response.redirect("/login");
    response.send(logoutPage());
  });

  routes.post("/logout", async (request, response) => {
    const session = sessionCookie.read(request);
    if (session !== undefined && (await sessions.revoke(session))) {
      log.info({ user: USER, address: request.ip }, "logged out");
    }
    sessionCookie.clear(request, response);
    response.redirect(303, "/login");
  });

  return routes;
}
