import { timeOfId } from "@postrider/shared/core/ids/id-range.ts";
import { toPublicId } from "@postrider/shared/core/ids/id.ts";

interface EventSummary {
  id: string;
  type: string;
  tenant: string;
  deliveries: number;
}

/** An event as the API shows it, without its data. */
export const presentEvent = ({ id, type, tenant, deliveries }: EventSummary) => ({
  id: toPublicId("evt", id),
  type,
  tenant,
  createdAt: new Date(timeOfId(id)).toISOString(),
  deliveries,
});
