import type { RequestHandler, Response } from "express";
import { toPublicId } from "@postrider/shared/core/ids/id.ts";
import { newId } from "@postrider/shared/runtime/new-id.ts";
import type { Logger } from "@postrider/shared/runtime/telemetry/logger.ts";
import type { Accepted } from "../events/accept.ts";
import type { Caller } from "./auth.ts";
import type { Context } from "../context.ts";

/** Of a path that is none of ours. */
const MAX_PATH = 200;

/** The caller closed the connection before it was answered; what it asked for may have been done (nginx's code for that). */
const HUNG_UP = 499;

/** What a route or the handler of its errors has to say of a request. */
interface Told {
  accepted?: readonly Accepted[];
  /** Why it was refused. */
  code?: string;
}

/** A caller's own request id is kept when it is harmless, so that it can be found in both logs. */
export const giveRequestId: RequestHandler = (request, response, next) => {
  const given = request.get("x-request-id");
  response.setHeader("x-request-id", given !== undefined && /^[\w.:-]{1,128}$/.test(given) ? given : newId());
  next();
};

export const requestIdOf = (response: Response): string => String(response.getHeader("x-request-id"));

/** Lines about what a request did carry its id. */
export const logOf = (log: Logger, response: Response): Logger => log.child({ requestId: requestIdOf(response) });

/** For the request's line. */
export const tell = (response: Response, told: Told): void => void Object.assign(response.locals, told);

/** What was accepted; where the caller has hung up meanwhile, the request's line is written already, and this is one more. */
export function tellAccepted(log: Logger, response: Response, accepted: readonly Accepted[]): void {
  tell(response, { accepted });
  if (response.closed) logOf(log, response).info({ events: accepted.flatMap(eventIds) }, "accepted without its caller");
}

/** The metrics of every API request, and one wide line: it leads from a caller's request id to the events, and they to their attempts. */
export function observeRequests({ log, metrics }: Context): RequestHandler {
  return (request, response, next) => {
    const end = metrics.requests.startTimer();
    // And not "finish", which never comes where the caller has hung up: those are the requests that people ask about.
    response.on("close", () => {
      const { method } = request;
      const status = response.writableFinished ? response.statusCode : HUNG_UP;
      // The route's pattern, never the path: an id as a label would make a series per delivery.
      const route = typeof request.route?.path === "string" ? `/v1${request.route.path}` : "none";
      const seconds = end({ method, route, status });
      // A line costs as much as its metrics: not made where nobody reads it.
      if (!log.isLevelEnabled("info")) return;
      const { caller, accepted, code } = response.locals as Told & { caller?: Caller };
      log.info(
        {
          requestId: requestIdOf(response),
          method,
          path: request.originalUrl.split("?", 1)[0]!.slice(0, MAX_PATH),
          status,
          durationMs: Math.round(seconds * 1000),
          ...(caller === undefined ? {} : { caller: caller.tenant ?? "operator" }),
          ...(accepted === undefined ? {} : { events: accepted.flatMap(eventIds) }),
          ...(code === undefined ? {} : { code }),
        },
        "request",
      );
    });
    next();
  };
}

const eventIds = (one: Accepted): string[] => (one.kind === "conflict" ? [] : [toPublicId("evt", one.id)]);
