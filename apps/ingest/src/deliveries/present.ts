import { timeOfId } from "@postrider/shared/core/ids/id-range.ts";
import { toPublicId } from "@postrider/shared/core/ids/id.ts";
import type { attempts, deliveries } from "@postrider/shared/store/schema/index.ts";

export const presentDelivery = (row: typeof deliveries.$inferSelect) => ({
  id: toPublicId("dlv", row.id),
  event: toPublicId("evt", row.eventId),
  subscription: toPublicId("sub", row.subscriptionId),
  tenant: row.tenant,
  eventType: row.eventType,
  status: row.state,
  heldReason: row.heldReason,
  deadReason: row.deadReason,
  attemptCount: row.attemptCount,
  nextAttemptAt: row.nextAttemptAt?.toISOString() ?? null,
  lastError: row.lastError,
  createdAt: new Date(timeOfId(row.id)).toISOString(),
  settledAt: row.settledAt?.toISOString() ?? null,
});

export const presentAttempt = (row: typeof attempts.$inferSelect) => ({
  id: toPublicId("att", row.id),
  number: row.number,
  trigger: row.trigger,
  startedAt: row.startedAt.toISOString(),
  durationMs: row.durationMs,
  responseStatus: row.responseStatus,
  responseBody: row.responseBody,
  error: row.error,
});
