import type { ErrorRequestHandler, Request, RequestHandler } from "express";
import { BufferFullError } from "@postrider/shared/concurrency/group-commit.ts";
import type { Logger } from "@postrider/shared/runtime/telemetry/logger.ts";
import { isUnavailable } from "@postrider/shared/store/errors.ts";
import { closeUnread, hasMuchToRead } from "./close-unread.ts";
import { Problem, PROBLEMS, problemBody } from "./problem.ts";
import { requestIdOf } from "./request-id.ts";
import { annotateRequestLog } from "./request-locals.ts";

/** Answers every error as RFC 9457 problem+json. */
export function problemHandler(log: Logger): ErrorRequestHandler {
  return (error: unknown, request: Request, response, next) => {
    if (response.headersSent) return next(error);
    const problem = toProblem(error);
    const { status } = PROBLEMS[problem.code];
    const requestId = requestIdOf(response);
    annotateRequestLog(response, { code: problem.code });
    if (problem.code === "request_timeout" || hasMuchToRead(request)) closeUnread(request, response);
    else request.resume();
    if (status >= 500) {
      log[status === 500 ? "error" : "warn"](
        { err: problem.cause, requestId, code: problem.code, method: request.method, path: request.path },
        "request failed",
      );
    }
    response.status(status).set(problem.headers).type("application/problem+json").send(problemBody(problem, requestId));
  };
}

export const notFound: RequestHandler = (request) => {
  throw new Problem("not_found", `there is no ${request.method} ${request.path.slice(0, 200)}`);
};

function toProblem(error: unknown): Problem {
  if (error instanceof Problem) return error;
  const retryLater = { headers: { "retry-after": "1" }, cause: error };
  if (error instanceof BufferFullError) {
    return new Problem("overloaded", "too many events are waiting to be written: try again", retryLater);
  }
  if (error instanceof URIError) return new Problem("not_found", "the path is not a valid URL");
  if (isUnavailable(error)) {
    return new Problem("database_unavailable", "nothing was written: try again", retryLater);
  }
  return new Problem("internal", "the server logged the error under this request id", { cause: error });
}
