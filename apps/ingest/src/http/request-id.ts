import type { RequestHandler, Response } from "express";
import { newId } from "@postrider/shared/runtime/new-id.ts";
import type { Logger } from "@postrider/shared/runtime/telemetry/logger.ts";

/** Keeps a caller's own request id where it is harmless, so that both logs can be searched for it. */
export const assignRequestId: RequestHandler = (request, response, next) => {
  const given = request.get("x-request-id");
  response.setHeader("x-request-id", given !== undefined && /^[\w.:-]{1,128}$/.test(given) ? given : newId());
  next();
};

export const requestIdOf = (response: Response): string => String(response.getHeader("x-request-id"));

/** A log whose lines carry the request's id. */
export const requestLog = (log: Logger, response: Response): Logger => log.child({ requestId: requestIdOf(response) });
