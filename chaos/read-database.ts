import { toPublicId } from "@postrider/shared/core/ids/id.ts";
import { withClient } from "../scripts/services/index.ts";
import type { DeliveryRow, StoredEvent } from "./evidence.ts";

/** The final rows, with the public ids that callers and receivers see. */
export async function readDatabase(databaseUrl: string): Promise<{ stored: StoredEvent[]; rows: DeliveryRow[] }> {
  return withClient(databaseUrl, async (client) => {
    const events = await client.query<StoredEvent>(
      "select id, body::json -> 'data' ->> 'ref' as ref, tenant, type from events",
    );
    const deliveries = await client.query<DeliveryRow>(
      `select d.id, d.event_id as event, d.subscription_id as subscription, d.state, d.dead_reason as "deadReason",
         d.held_reason as "heldReason", d.cycle, d.attempt_count as "attemptCount", d.last_error as "lastError",
         count(a.id) filter (where not a.superseded and a.response_status between 200 and 299)::int as "decidingSuccesses",
         count(a.id) filter (where not a.superseded and (a.response_status between 200 and 299) is not true)::int as "failures",
         count(a.id) filter (where a.superseded)::int as superseded
       from deliveries d left join attempts a on a.delivery_id = d.id
       group by d.id`,
    );
    return {
      stored: events.rows.map((event) => ({ ...event, id: toPublicId("evt", event.id) })),
      rows: deliveries.rows.map((row) => ({
        ...row,
        id: toPublicId("dlv", row.id),
        event: toPublicId("evt", row.event),
        subscription: toPublicId("sub", row.subscription),
      })),
    };
  });
}
