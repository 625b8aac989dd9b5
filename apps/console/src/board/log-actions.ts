import type { RequestHandler } from "express";
import type { Logger } from "@postrider/shared/runtime/telemetry/logger.ts";
import { USER } from "../access/password.ts";

/** Logs every request for a change, also a refused one: user, request and status. */
export function logActions(log: Logger): RequestHandler {
  return (request, response, next) => {
    if (request.method !== "GET" && request.method !== "HEAD") {
      const { method, originalUrl: path, ip: address } = request;
      response.on("finish", () => {
        log.info({ user: USER, address, method, path, status: response.statusCode }, "handled a console action");
      });
    }
    next();
  };
}
