import { z } from "zod";
import { SUBSCRIPTION_STATUSES } from "@postrider/shared/core/delivery/states.ts";
import { parseRetrySchedule } from "@postrider/shared/core/delivery/retry-schedule.ts";
import { formatDuration } from "@postrider/shared/core/duration.ts";
import { parseSecret } from "@postrider/shared/core/signing.ts";
import { eventTypePatterns, integer, page, tenant, text } from "../http/fields.ts";
import { shapeOf } from "../http/parse-request.ts";
import type { Shape } from "../http/raw-json.ts";
import { headers } from "./headers.ts";
import { metadata } from "./metadata.ts";
import { url } from "./url.ts";

const secret = z.string({ error: "must be a string" }).transform((value, issues) => {
  const parsed = parseSecret(value);
  if ("problem" in parsed) {
    issues.addIssue(parsed.problem);
    return z.NEVER;
  }
  return parsed;
});

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

/** These are needed as they were sent. */
const RAW = new Set(["headers", "metadata"]);
export const newSubscriptionShape: Shape = { ...shapeOf(newSubscription), raw: RAW };
export const subscriptionChangeShape: Shape = { ...shapeOf(subscriptionChange), raw: RAW };

export const rotation = z.strictObject({
  secret: secret.optional(),
  graceSeconds: integer(0, 30 * 86_400).default(86_400),
});

export const subscriptionFilter = z.strictObject({
  ...page("sub"),
  tenant: tenant.optional(),
  status: z.enum(SUBSCRIPTION_STATUSES, { error: `must be one of ${SUBSCRIPTION_STATUSES.join(", ")}` }).optional(),
});
