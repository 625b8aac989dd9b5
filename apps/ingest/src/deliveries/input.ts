import { z } from "zod";
import { DELIVERY_STATES } from "@postrider/shared/core/delivery/states.ts";
import { page, publicId, tenant, time } from "../http/fields.ts";

export const deliveryFilter = z.strictObject({
  ...page("dlv"),
  tenant: tenant.optional(),
  subscription: publicId("sub").optional(),
  event: publicId("evt").optional(),
  status: z.enum(DELIVERY_STATES, { error: `must be one of ${DELIVERY_STATES.join(", ")}` }).optional(),
  since: time.optional(),
  until: time.optional(),
});

export type DeliveryFilter = Pick<z.output<typeof deliveryFilter>, "limit"> & Partial<z.output<typeof deliveryFilter>>;

/** Of the deliveries of one event. */
export const eventDeliveryFilter = z.strictObject(page("dlv"));
