import { createHash } from "node:crypto";
import type { Request } from "express";
import { text } from "./fields.ts";
import { isBlank } from "./parse-request.ts";
import { invalid } from "./problem.ts";
import { bytesOf } from "./request-body.ts";

/** Separates the parts of the keys that we make ourselves. Callers' keys cannot have it. */
const SEPARATOR = "\u001f";

export const idempotencyKey = text(1, 255).refine(
  (key) => !key.includes(SEPARATOR),
  "must not contain the character U+001F",
);

/** @throws Problem invalid_request */
export function idempotencyKeyOf(request: Request): string | undefined {
  const header = request.get("idempotency-key");
  if (header === undefined) return undefined;
  const parsed = idempotencyKey.safeParse(header);
  if (!parsed.success) throw invalid({ field: "Idempotency-Key", message: "must have 1 to 255 characters" });
  return parsed.data;
}

/**
 * A caller's key for one call other than `POST /events`, whose keys are kept as they are.
 *
 * @param call such as `subscriptions`
 */
export const keyForCall = (call: string, key: string): string => [call, key].join(SEPARATOR);

/** Hash of the body as it was sent. An absent one counts as `{}`. */
export function hashOfBody(request: Request): Buffer {
  const json = bytesOf(request);
  return createHash("sha256")
    .update(isBlank(json) ? "{}" : json)
    .digest();
}
