import type { Response } from "express";
import { toPublicId } from "@postrider/shared/core/ids/id.ts";
import type { Logger } from "@postrider/shared/runtime/telemetry/logger.ts";
import { requestLog } from "../http/request-id.ts";
import { annotateRequestLog } from "../http/request-locals.ts";

/**
 * Adds the accepted events to the request's log line. Where the caller closed the connection meanwhile, that line is
 * already written, so the events get a line of their own.
 */
export function logAccepted(log: Logger, response: Response, accepted: readonly { id: string }[]): void {
  const eventIds = accepted.map(({ id }) => toPublicId("evt", id));
  annotateRequestLog(response, { eventIds });
  if (response.closed) {
    requestLog(log, response).info({ events: eventIds }, "accepted events after the caller closed the connection");
  }
}
