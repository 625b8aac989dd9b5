import { z } from "zod";
import { SUBSCRIPTION_STATUSES } from "@postrider/shared/core/delivery/states.ts";
import { parseRetrySchedule } from "@postrider/shared/core/delivery/retry-schedule.ts";
import { formatDuration } from "@postrider/shared/core/duration.ts";
import { parseSecret } from "@postrider/shared/core/signing.ts";
import { eventTypePatterns, integer, page, tenant, text } from "../http/fields.ts";
import { shapeOf } from "../http/parse-request.ts";
import type { Shape } from "../http/raw-json.ts";
import { metadata } from "./metadata.ts";

const MAX_HEADERS = 20;

/** Headers that Postrider or the connection sets. */
const RESERVED_HEADERS = new Set([
  "accept-encoding",
  "connection",
  "content-encoding",
  "content-length",
  "content-type",
  "expect",
  "host",
  "keep-alive",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "user-agent",
]);

const url = text(1, 2048).superRefine((value, issues) => {
  const parsed = URL.parse(value);
  if (!parsed || !["http:", "https:"].includes(parsed.protocol)) issues.addIssue("must be an http or https URL");
  else if (parsed.username !== "" || parsed.password !== "") {
    issues.addIssue("must not carry a user name or password: use headers for that");
  } else if (parsed.hash !== "") issues.addIssue("must not have a fragment (#…)");
});

const secret = z.string({ error: "must be a string" }).transform((value, issues) => {
  const parsed = parseSecret(value);
  if ("problem" in parsed) {
    issues.addIssue(parsed.problem);
    return z.NEVER;
  }
  return parsed;
});

const headers = z
  .record(z.string(), z.unknown(), { error: "must be an object of header names and values" })
  // Counted before each of them is validated.
  .refine((all) => Object.keys(all).length <= MAX_HEADERS, `must have at most ${MAX_HEADERS} entries`)
  .pipe(
    z.record(
      z
        .string()
        .regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}$/, "is not a header name")
        .refine(
          (name) => !RESERVED_HEADERS.has(name.toLowerCase()) && !name.toLowerCase().startsWith("webhook-"),
          "is set by Postrider and cannot be changed",
        ),
      z
        .string({ error: "must be a string" })
        .regex(/^[\t\x20-\x7e\x80-\xff]{0,2000}$/, "must be printable and at most 2000 characters"),
    ),
  );

const retrySchedule = z
  .union([z.string(), z.array(z.string())], { error: 'must be "standard" or a list of durations such as ["2s", "5m"]' })
  .transform((value, issues) => {
    const schedule = parseRetrySchedule(value);
    if ("problem" in schedule) {
      issues.addIssue(schedule.problem);
      return z.NEVER;
    }
    return schedule.map(formatDuration);
  });

/** The fields that a PATCH may change. Null puts a field back to its default. */
const changeable = {
  url,
  eventTypes: eventTypePatterns.optional(),
  description: text(0, 1000).nullable().optional(),
  headers: headers.optional(),
  rateLimit: integer(1, 100_000).nullable().optional(),
  maxInFlight: integer(1, 1_000).optional(),
  timeoutMs: integer(10, 60_000).nullable().optional(),
  retrySchedule: retrySchedule.nullable().optional(),
  metadata: metadata.optional(),
};

export const newSubscription = z.strictObject({ ...changeable, tenant: tenant.optional(), secret: secret.optional() });

export const subscriptionChange = z.strictObject({ ...changeable, url: url.optional() });

/** The metadata is needed as it was sent. */
export const newSubscriptionShape: Shape = { ...shapeOf(newSubscription), raw: "metadata" };
export const subscriptionChangeShape: Shape = { ...shapeOf(subscriptionChange), raw: "metadata" };

export const rotation = z.strictObject({
  secret: secret.optional(),
  graceSeconds: integer(0, 30 * 86_400).default(86_400),
});

export const subscriptionFilter = z.strictObject({
  ...page("sub"),
  tenant: tenant.optional(),
  status: z.enum(SUBSCRIPTION_STATUSES, { error: `must be one of ${SUBSCRIPTION_STATUSES.join(", ")}` }).optional(),
});
