import { z } from "zod";
import type { Caller } from "../http/caller.ts";
import { eventType, page, tenant, text, time } from "../http/fields.ts";
import { invalid, Problem } from "../http/problem.ts";
import { parseListWithRaw, parseWithRaw, RawJson } from "../http/raw-json.ts";
import { tenantFor } from "../http/tenancy.ts";
import type { NewEvent } from "./prepare.ts";

const MAX_PAYLOAD_BYTES = 256 * 1024;
/** Room for the type, the tenant and white space around a payload of the full size. */
const ENVELOPE_BYTES = 16 * 1024;
export const MAX_EVENT_BYTES = MAX_PAYLOAD_BYTES + ENVELOPE_BYTES;

const MAX_BATCH = 1_000;
export const MAX_BATCH_BYTES = 10 * 1024 * 1024;

/** Many receivers' parsers refuse deeper nesting, or crash. */
const MAX_DEPTH = 1_000;

/** Parse bodies for the schemas below, which need each event's data as it was sent. */
export const parseEvent = (json: Buffer): unknown => parseWithRaw(json, "data");
export const parseBatch = (json: Buffer): unknown => parseListWithRaw(json, "events", "data");

const idempotencyKey = text(1, 255);

export const newEvent = z.strictObject({
  type: eventType,
  data: z.custom<RawJson>((data) => data instanceof RawJson, "is required"),
  tenant: tenant.optional(),
});

export const newBatch = z.strictObject({
  events: z
    .array(newEvent.extend({ idempotencyKey: idempotencyKey.optional() }), { error: "must be a list of events" })
    .min(1, "must have at least one event")
    .max(MAX_BATCH, `must have at most ${MAX_BATCH} events`),
});

export const eventFilter = z.strictObject({
  ...page("evt"),
  tenant: tenant.optional(),
  type: eventType.optional(),
  since: time.optional(),
  until: time.optional(),
});

export function idempotencyKeyFrom(header: string | undefined): string | undefined {
  if (header === undefined) return undefined;
  const parsed = idempotencyKey.safeParse(header);
  if (!parsed.success) throw invalid({ field: "Idempotency-Key", message: "must have 1 to 255 characters" });
  return parsed.data;
}

/** @param prefix of a field's name in an error, such as `events.3.` */
export function toNewEvent(
  input: z.output<typeof newEvent>,
  idempotencyKey: string | undefined,
  caller: Caller,
  prefix = "",
): NewEvent {
  const { json: data, depth } = input.data;
  const tenant = tenantFor(caller, input.tenant, prefix);
  if (depth > MAX_DEPTH) {
    throw invalid({ field: `${prefix}data`, message: `is nested too deeply: at most ${MAX_DEPTH} levels` });
  }
  if (data.length > MAX_PAYLOAD_BYTES) {
    throw new Problem("payload_too_large", `${prefix}data is larger than ${MAX_PAYLOAD_BYTES / 1024} KiB`);
  }
  return { tenant, type: input.type, data, idempotencyKey };
}
