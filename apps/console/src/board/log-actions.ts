import type { RequestHandler } from "express";
import type { Logger } from "@postrider/shared/runtime/telemetry/logger.ts";
import { USER } from "../access/password.ts";

/** One line for everything that somebody asked to be changed, refused or not: who, what, and what came of it. */
export function logActions(log: Logger): RequestHandler {
  return (request, response, next) => {
    if (request.method !== "GET" && request.method !== "HEAD") {
      const { method, originalUrl: path, ip: address } = request;
      response.on("finish", () => {
        log.info({ user: USER, address, method, path, status: response.statusCode }, "console action");
      });
    }
    next();
  };
}
