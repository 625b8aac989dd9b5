import type { ErrorRequestHandler, Request, RequestHandler } from "express";
import type { ZodError } from "zod";
import { BufferFullError } from "@postrider/shared/concurrency/group-commit.ts";
import { isUnavailable } from "@postrider/shared/store/errors.ts";
import type { Logger } from "@postrider/shared/runtime/telemetry/logger.ts";
import { requestIdOf, tell } from "./observe-requests.ts";

/** Every `code` that the API answers with; docs/api.md lists them, and a test compares the two. */
export const PROBLEMS = {
  invalid_json: { status: 400, title: "The body is not JSON" },
  invalid_request: { status: 400, title: "The request has invalid fields" },
  unauthorized: { status: 401, title: "An API key is needed" },
  forbidden: { status: 403, title: "This API key does not allow that" },
  not_found: { status: 404, title: "Not found" },
  method_not_allowed: { status: 405, title: "Method not allowed" },
  idempotency_conflict: { status: 409, title: "The idempotency key was used with another body" },
  delivery_pending: { status: 409, title: "The delivery is about to be attempted anyway" },
  subscription_deleted: { status: 409, title: "The subscription is deleted" },
  subscription_disabled: { status: 409, title: "The subscription is disabled" },
  payload_too_large: { status: 413, title: "The payload is too large" },
  unsupported_media_type: { status: 415, title: "The body must be application/json" },
  address_not_allowed: { status: 422, title: "The URL's address may not be delivered to" },
  internal: { status: 500, title: "Something went wrong here" },
  overloaded: { status: 503, title: "Too much is waiting to be written" },
  database_unavailable: { status: 503, title: "The database is unavailable" },
} as const;

export type ProblemCode = keyof typeof PROBLEMS;

export interface FieldError {
  field: string;
  message: string;
}

/** An error that the caller is told about: `detail` is for them, `cause` for the log. */
export class Problem extends Error {
  readonly code: ProblemCode;
  readonly errors: readonly FieldError[] | undefined;
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    code: ProblemCode,
    detail: string,
    options: { errors?: readonly FieldError[]; headers?: Record<string, string>; cause?: unknown } = {},
  ) {
    super(detail, { cause: options.cause });
    this.name = "Problem";
    this.code = code;
    this.errors = options.errors;
    this.headers = options.headers ?? {};
  }
}

export const invalid = (...errors: FieldError[]): Problem =>
  new Problem("invalid_request", errors.map(({ field, message }) => `${field}: ${message}`).join("; "), { errors });

/** What zod found, as one entry per field; an unknown field is named itself and not its parent. */
export function fieldErrors(error: ZodError): FieldError[] {
  const name = (path: readonly PropertyKey[]) => path.map(String).join(".") || "body";
  return error.issues.flatMap((issue) =>
    issue.code === "unrecognized_keys"
      ? issue.keys.map((key) => ({ field: name([...issue.path, key]), message: "is not a known field" }))
      : [{ field: name(issue.path), message: issue.message }],
  );
}

/** What Express's body parser throws: an error with the HTTP status that it means. */
function fromBodyParser(error: unknown): Problem | undefined {
  if (!(error instanceof Error) || !("type" in error)) return undefined;
  switch (error.type) {
    case "entity.too.large":
      return new Problem("payload_too_large", "the body is larger than this route takes");
    case "encoding.unsupported":
    case "charset.unsupported":
      return new Problem("unsupported_media_type", error.message);
    case "request.aborted":
    case "request.size.invalid":
      return new Problem("invalid_json", "the body ended early");
    default:
      return new Problem("invalid_json", "the body could not be read");
  }
}

function toProblem(error: unknown): Problem {
  if (error instanceof Problem) return error;
  const retryLater = { headers: { "retry-after": "1" }, cause: error };
  if (error instanceof BufferFullError) {
    return new Problem("overloaded", "more events are waiting than can be held: try again", retryLater);
  }
  if (error instanceof URIError) return new Problem("not_found", "the path is not a valid URL");
  const parsing = fromBodyParser(error);
  if (parsing) return parsing;
  if (isUnavailable(error)) {
    return new Problem("database_unavailable", "nothing was written: try again", retryLater);
  }
  return new Problem("internal", "the error is in our log under this request id", { cause: error });
}

export const notFound: RequestHandler = (request) => {
  throw new Problem("not_found", `there is no ${request.method} ${request.path}`);
};

/** Answers every error as RFC 9457 problem+json. */
export function problemHandler(log: Logger): ErrorRequestHandler {
  return (error: unknown, request: Request, response, next) => {
    if (response.headersSent) return next(error);
    const problem = toProblem(error);
    const { status, title } = PROBLEMS[problem.code];
    const requestId = requestIdOf(response);
    tell(response, { code: problem.code });
    if (status >= 500) {
      log[status === 500 ? "error" : "warn"](
        { err: problem.cause, requestId, code: problem.code, method: request.method, path: request.path },
        "request failed",
      );
    }
    response
      .status(status)
      .set(problem.headers)
      .type("application/problem+json")
      .send(
        JSON.stringify({
          type: "about:blank",
          title,
          status,
          code: problem.code,
          detail: problem.message,
          ...(problem.errors ? { errors: problem.errors } : {}),
          requestId,
        }),
      );
  };
}
