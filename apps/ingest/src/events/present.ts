import { sql } from "drizzle-orm";
import { timeOfId } from "@postrider/shared/core/ids/id-range.ts";
import { toPublicId } from "@postrider/shared/core/ids/id.ts";
import { events, expansions } from "@postrider/shared/store/schema/index.ts";

interface EventSummary {
  id: string;
  type: string;
  tenant: string;
  /** So far, while `expanding`. */
  deliveries: number;
  expanding: boolean;
}

/** The columns of an EventSummary, of `events` left-joined with `expansions`. */
export const eventSummary = {
  id: events.id,
  type: events.type,
  tenant: events.tenant,
  deliveries: sql<number>`coalesce(${expansions.written}, ${events.deliveryCount})`,
  expanding: sql<boolean>`${expansions.eventId} is not null`,
};

/** An event as the API shows it, without its data. */
export const presentEvent = ({ id, type, tenant, deliveries, expanding }: EventSummary) => ({
  id: toPublicId("evt", id),
  type,
  tenant,
  createdAt: new Date(timeOfId(id)).toISOString(),
  deliveries,
  expanding,
});
