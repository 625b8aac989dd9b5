import { z } from "zod";
import { isEventType, isEventTypePattern } from "@postrider/shared/core/event/types.ts";
import { parseTime } from "@postrider/shared/core/time.ts";
import { fromPublicId, type IdPrefix } from "@postrider/shared/core/ids/id.ts";
import { MAX_FIELD_ERRORS } from "./problem.ts";

/**
 * Postgres's type text can't hold NUL. A text with an unpaired surrogate has no UTF-8, so it would be stored as another
 * one: two keys would become the same.
 */
export const text = (min: number, max: number) =>
  z
    .string({ error: "must be a string" })
    .min(min, min === 1 ? "must not be empty" : `must have at least ${min} characters`)
    .max(max, `must have at most ${max} characters`)
    .refine((value) => !value.includes("\0"), "must not contain a NUL character")
    .refine((value) => value.isWellFormed(), "must not contain an unpaired surrogate");

export const tenant = z
  .string({ error: "must be a string" })
  .regex(/^[A-Za-z0-9_.-]{1,64}$/, "must be 1 to 64 of the characters A-Z a-z 0-9 _ . -");

export const eventType = z
  .string({ error: "must be a string" })
  .refine(isEventType, "must be dot-separated words of A-Z a-z 0-9 _ -, at most 128 characters, such as order.created");

/**
 * A list with at least one element. It is counted before its elements are validated, and their validation stops when
 * there are as many errors as an answer lists.
 */
export const list = <Schema extends z.ZodType>(element: Schema, max: number, of: string) =>
  z
    .custom<unknown[]>(Array.isArray, `must be a list of ${of}`)
    .refine((values) => values.length >= 1, "must have at least one entry")
    .refine((values) => values.length <= max, `must have at most ${max} entries`)
    .transform((values, context) => {
      const valid: z.output<Schema>[] = [];
      for (let index = 0; index < values.length && context.issues.length < MAX_FIELD_ERRORS; index += 1) {
        const parsed = element.safeParse(values[index]);
        if (parsed.success) {
          valid.push(parsed.data);
          continue;
        }
        for (const issue of parsed.error.issues) {
          context.issues.push({ ...issue, path: [index, ...issue.path] } as (typeof context.issues)[0]);
        }
      }
      return valid;
    });

const eventTypePattern = z
  .string({ error: "must be a string" })
  .refine(isEventTypePattern, 'must be an event type, "prefix.*" or "*"');

export const eventTypePatterns = list(eventTypePattern, 200, "event types").transform((patterns) => [
  ...new Set(patterns),
]);

export const integer = (min: number, max: number) => {
  const error = `must be a whole number from ${min} to ${max}`;
  return z.int({ error }).min(min, error).max(max, error);
};

export const publicId = (prefix: IdPrefix) =>
  z.string().transform((value, issues) => {
    const uuid = fromPublicId(prefix, value);
    if (uuid === undefined) {
      issues.addIssue(`must be an id that begins with ${prefix}_`);
      return z.NEVER;
    }
    return uuid;
  });

/** An ISO 8601 time in a query, as Unix milliseconds. */
export const time = z.string().transform((value, issues) => {
  const ms = parseTime(value);
  if (ms === undefined) {
    issues.addIssue("must be an ISO 8601 time such as 2026-01-31T12:00:00Z");
    return z.NEVER;
  }
  return ms;
});

const MAX_PAGE = 200;

/** `?limit=`, `?order=` and `?cursor=` of a list. The cursor is the last id of the page before. */
export const page = (prefix: IdPrefix) => ({
  limit: z
    .string()
    .regex(/^\d{1,6}$/, `must be a whole number from 1 to ${MAX_PAGE}`)
    .transform(Number)
    .refine((limit) => limit >= 1 && limit <= MAX_PAGE, `must be a whole number from 1 to ${MAX_PAGE}`)
    .default(50),
  order: z.enum(["desc", "asc"], { error: "must be desc or asc" }).optional(),
  cursor: publicId(prefix).optional(),
});
