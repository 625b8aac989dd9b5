import type { ErrorRequestHandler } from "express";
import { isUnavailable } from "@postrider/shared/store/errors.ts";
import type { Logger } from "@postrider/shared/runtime/telemetry/logger.ts";

/** An error body as Bull Board's page shows it: a headline, and a sentence below it. */
export const boardError = (error: string, message: string) => ({ error, message });

/** The answer to a thrown error. */
export function describeError(error: unknown): { status: number; body: ReturnType<typeof boardError> } {
  const status = error instanceof Error && "status" in error ? Number(error.status) : 500;
  if (status >= 400 && status < 500) return { status, body: boardError("Bad request", (error as Error).message) };
  if (isUnavailable(error)) {
    return {
      status: 503,
      body: boardError("Not available", "Postgres or Redis did not answer. Try again in a moment."),
    };
  }
  return { status: 500, body: boardError("Internal error", "The console's log has the details.") };
}

export function errorHandler(log: Logger): ErrorRequestHandler {
  return (error: unknown, request, response, next) => {
    const { status, body } = describeError(error);
    if (status >= 500) log.error({ err: error, method: request.method, path: request.path }, "request failed");
    if (response.headersSent) return next(error);
    response.status(status).json(body);
  };
}
