import type { ZodError } from "zod";

/** Every `code` that the API answers with. A test compares them with docs/api.md. */
export const PROBLEMS = {
  invalid_http: { status: 400, title: "The request is not valid HTTP" },
  invalid_json: { status: 400, title: "The body is not JSON in UTF-8" },
  invalid_request: { status: 400, title: "The request has invalid fields" },
  unauthorized: { status: 401, title: "A valid API key is required" },
  forbidden: { status: 403, title: "This API key does not allow that" },
  not_found: { status: 404, title: "Not found" },
  method_not_allowed: { status: 405, title: "Method not allowed" },
  request_timeout: { status: 408, title: "The request did not arrive in time" },
  idempotency_conflict: { status: 409, title: "The idempotency key was used with another body" },
  idempotency_answer_lost: { status: 409, title: "The answer to the first request can no longer be shown" },
  idempotency_in_progress: { status: 409, title: "A request with this idempotency key is under way" },
  delivery_pending: { status: 409, title: "The delivery is about to be attempted anyway" },
  subscription_deleted: { status: 409, title: "The subscription is deleted" },
  subscription_paused: { status: 409, title: "The subscription is paused" },
  subscription_disabled: { status: 409, title: "The subscription is disabled" },
  too_many_secrets: { status: 409, title: "Too many signing secrets are still valid" },
  subscription_limit: { status: 409, title: "The tenant has as many subscriptions as it may have" },
  payload_too_large: { status: 413, title: "The payload is too large" },
  unsupported_media_type: { status: 415, title: "The body must be application/json" },
  expectation_failed: { status: 417, title: "The header Expect cannot be met" },
  address_not_allowed: { status: 422, title: "Deliveries to the URL's address are not allowed" },
  backlog_full: { status: 429, title: "The tenant has too many unfinished deliveries" },
  expansion_backlog: { status: 429, title: "Too many deliveries of the tenant are still to be written" },
  too_many_reads: { status: 429, title: "Too many reads with this API key at once" },
  too_many_unknown_keys: { status: 429, title: "Too many requests with unknown API keys" },
  headers_too_large: { status: 431, title: "The headers are too large" },
  internal: { status: 500, title: "Internal error" },
  overloaded: { status: 503, title: "Too much is under way at the moment" },
  read_timeout: { status: 503, title: "The read took too long" },
  reads_overloaded: { status: 503, title: "Too many reads at once" },
  database_unavailable: { status: 503, title: "The database is unavailable" },
  loop_detected: { status: 508, title: "Deliveries may not call the API" },
} as const;

export type ProblemCode = keyof typeof PROBLEMS;

export interface FieldError {
  field: string;
  message: string;
}

/** An error for the caller: `detail` is sent to them, `cause` is only logged. */
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

/** The body of an answer, as RFC 9457 has it. */
export function problemBody({ code, message, errors }: Problem, requestId: string): string {
  const { status, title } = PROBLEMS[code];
  return JSON.stringify({
    type: "about:blank",
    title,
    status,
    code,
    detail: message,
    ...(errors ? { errors } : {}),
    requestId,
  });
}

/** How many errors an answer lists. */
export const MAX_FIELD_ERRORS = 20;
/** Names and messages may have the caller's own text in them. */
const MAX_NAME_CHARS = 200;
const MAX_MESSAGE_CHARS = 300;

/** @param errors the first MAX_FIELD_ERRORS are shown */
export function invalid(...errors: FieldError[]): Problem {
  const shown = errors
    .slice(0, MAX_FIELD_ERRORS)
    .map(({ field, message }) => ({ field: cut(field, MAX_NAME_CHARS), message: cut(message, MAX_MESSAGE_CHARS) }));
  const detail = shown.map(({ field, message }) => `${field}: ${message}`).join("; ");
  return new Problem("invalid_request", detail, { errors: shown });
}

const cut = (text: string, max: number): string => (text.length > max ? `${text.slice(0, max)}…` : text);

/** A schema's issues as one entry per field; an unknown field is named itself and not its parent. */
export function fieldErrors(error: ZodError): FieldError[] {
  const name = (path: readonly PropertyKey[]) => path.map(String).join(".") || "body";
  return error.issues
    .slice(0, MAX_FIELD_ERRORS)
    .flatMap((issue) =>
      issue.code === "unrecognized_keys"
        ? issue.keys
            .slice(0, MAX_FIELD_ERRORS)
            .map((key) => ({ field: name([...issue.path, key]), message: "is not a known field" }))
        : [{ field: name(issue.path), message: issue.message }],
    );
}
