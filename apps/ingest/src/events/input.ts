import { z } from "zod";
import { MIN_ID } from "@postrider/shared/core/ids/id-range.ts";
import { toPublicId } from "@postrider/shared/core/ids/id.ts";
import type { Caller } from "../http/caller.ts";
import { eventType, list, page, publicId, tenant, time } from "../http/fields.ts";
import { idempotencyKey } from "../http/idempotency-key.ts";
import { shapeOf } from "../http/parse-request.ts";
import { Problem } from "../http/problem.ts";
import { RawJson, type Shape } from "../http/raw-json.ts";
import { tenantFor } from "../http/tenancy.ts";
import type { NewEvent } from "./prepare.ts";

const MAX_PAYLOAD_BYTES = 256 * 1024;
/** Room for the type, the tenant and white space around a payload of the full size. */
const ENVELOPE_BYTES = 16 * 1024;
export const MAX_EVENT_BYTES = MAX_PAYLOAD_BYTES + ENVELOPE_BYTES;

const MAX_BATCH = 1_000;
export const MAX_BATCH_BYTES = 10 * 1024 * 1024;

export const newEvent = z.strictObject({
  type: eventType,
  data: z.custom<RawJson>((data) => data instanceof RawJson, "is required"),
  tenant: tenant.optional(),
});

const eventOfBatch = newEvent.extend({ idempotencyKey: idempotencyKey.optional() });

export const newBatch = z.strictObject({ events: list(eventOfBatch, MAX_BATCH, "events") });

const RAW = new Set(["data"]);

/** The data of each event is needed as it was sent. */
const shapeOfEvent = (schema: typeof newEvent): Shape => ({ ...shapeOf(schema), raw: RAW, hasOnlyStrings: true });

export const newEventShape = shapeOfEvent(newEvent);
export const newBatchShape: Shape = {
  ...shapeOf(newBatch),
  hasOnlyStrings: true,
  list: { name: "events", max: MAX_BATCH, of: shapeOfEvent(eventOfBatch) },
};

export const eventFilter = z
  .strictObject({
    ...page("evt"),
    tenant: tenant.optional(),
    type: eventType.optional(),
    since: time.optional(),
    until: time.optional(),
    /** An id, or nothing for the start. */
    after: z
      .string()
      .transform((value) => (value === "" ? toPublicId("evt", MIN_ID) : value))
      .pipe(publicId("evt"))
      .optional(),
  })
  .refine(({ after, cursor }) => after === undefined || cursor === undefined, {
    path: ["cursor"],
    error: "cannot be given together with after: give the nextCursor to after",
  })
  .refine(({ after, order }) => after === undefined || order !== "desc", {
    path: ["order"],
    error: "must be asc, or left out, together with after",
  });

/** @param prefix of a field's name in an error, such as `events.3.` */
export function toNewEvent(
  input: z.output<typeof newEvent>,
  idempotencyKey: string | undefined,
  caller: Caller,
  prefix = "",
): NewEvent {
  const { json: data } = input.data;
  const tenant = tenantFor(caller, input.tenant, prefix);
  if (data.length > MAX_PAYLOAD_BYTES) {
    throw new Problem("payload_too_large", `${prefix}data is larger than ${MAX_PAYLOAD_BYTES / 1024} KiB`);
  }
  return { tenant, type: input.type, data, idempotencyKey };
}
