import type { Request, RequestHandler } from "express";
import type { Logger } from "@postrider/shared/runtime/telemetry/logger.ts";
import type { IngestMetrics } from "../metrics.ts";
import { requestIdOf } from "./request-id.ts";
import { localsOf } from "./request-locals.ts";

/** Longer paths match no route and are cut in the log. */
const MAX_LOGGED_PATH_CHARS = 200;

/** nginx's code for a caller that closed the connection before the answer. The request may have been carried out. */
const CLIENT_CLOSED_REQUEST = 499;

interface ObserveParts {
  log: Logger;
  metrics: Pick<IngestMetrics, "requests">;
  clientAddress: (request: Request) => string;
}

/**
 * Measures every API request and writes one wide log line. Its request id leads a caller to the events, and those to
 * their attempts.
 */
export function observeRequests({ log, metrics, clientAddress }: ObserveParts): RequestHandler {
  return (request, response, next) => {
    // A closed socket has no address any more.
    const address = log.isLevelEnabled("info") ? clientAddress(request) : undefined;
    const stopTimer = metrics.requests.startTimer();
    // "finish" is not emitted where the caller closed the connection, and such requests must be logged too.
    response.on("close", () => {
      const { method } = request;
      const status = response.writableFinished ? response.statusCode : CLIENT_CLOSED_REQUEST;
      // The route's pattern, not the path: an id as a label would make a series per delivery.
      const route = typeof request.route?.path === "string" ? `/v1${request.route.path}` : "none";
      const seconds = stopTimer({ method, route, status });
      // A line costs as much CPU as the metrics, so it is not built where its level is off.
      if (!log.isLevelEnabled("info")) return;
      const { caller, eventIds, code } = localsOf(response);
      log.info(
        {
          requestId: requestIdOf(response),
          address,
          method,
          path: request.originalUrl.split("?", 1)[0]!.slice(0, MAX_LOGGED_PATH_CHARS),
          status,
          durationMs: Math.round(seconds * 1000),
          ...(caller === undefined ? {} : { caller: caller.tenant ?? "operator" }),
          ...(eventIds === undefined ? {} : { events: eventIds }),
          ...(code === undefined ? {} : { code }),
        },
        "request",
      );
    });
    next();
  };
}
