import type { ZodError } from "zod";

/** Every `code` that the API answers with. A test compares them with docs/api.md. */
export const PROBLEMS = {
  invalid_json: { status: 400, title: "The body is not JSON in UTF-8" },
  invalid_request: { status: 400, title: "The request has invalid fields" },
  unauthorized: { status: 401, title: "A valid API key is required" },
  forbidden: { status: 403, title: "This API key does not allow that" },
  not_found: { status: 404, title: "Not found" },
  method_not_allowed: { status: 405, title: "Method not allowed" },
  idempotency_conflict: { status: 409, title: "The idempotency key was used with another body" },
  delivery_pending: { status: 409, title: "The delivery is about to be attempted anyway" },
  subscription_deleted: { status: 409, title: "The subscription is deleted" },
  subscription_paused: { status: 409, title: "The subscription is paused" },
  subscription_disabled: { status: 409, title: "The subscription is disabled" },
  too_many_secrets: { status: 409, title: "Too many signing secrets are still valid" },
  payload_too_large: { status: 413, title: "The payload is too large" },
  unsupported_media_type: { status: 415, title: "The body must be application/json" },
  address_not_allowed: { status: 422, title: "Deliveries to the URL's address are not allowed" },
  expansion_backlog: { status: 429, title: "Too many deliveries of the tenant are still to be written" },
  too_many_reads: { status: 429, title: "Too many reads with this API key at once" },
  internal: { status: 500, title: "Internal error" },
  overloaded: { status: 503, title: "Too many events are waiting to be written" },
  read_timeout: { status: 503, title: "The read took too long" },
  reads_overloaded: { status: 503, title: "Too many reads at once" },
  database_unavailable: { status: 503, title: "The database is unavailable" },
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

export const invalid = (...errors: FieldError[]): Problem =>
  new Problem("invalid_request", errors.map(({ field, message }) => `${field}: ${message}`).join("; "), { errors });

/** A schema's issues as one entry per field; an unknown field is named itself and not its parent. */
export function fieldErrors(error: ZodError): FieldError[] {
  const name = (path: readonly PropertyKey[]) => path.map(String).join(".") || "body";
  return error.issues.flatMap((issue) =>
    issue.code === "unrecognized_keys"
      ? issue.keys.map((key) => ({ field: name([...issue.path, key]), message: "is not a known field" }))
      : [{ field: name(issue.path), message: issue.message }],
  );
}
