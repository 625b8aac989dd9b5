import type { BullMQAdapter } from "@bull-board/api/bullMQAdapter";
import { toPublicId, type IdPrefix } from "@postrider/shared/core/ids/id.ts";
import type { ReleaseJob, RetryJob } from "@postrider/shared/queue/jobs.ts";

/** Adds the delivery's API path to the data of a retry job, or of a dead letter's. */
export function showDelivery(adapter: BullMQAdapter): void {
  adapter.setFormatter("data", (data: Partial<RetryJob>) => ({
    ...data,
    ...pathOf("deliveries", "dlv", data.delivery),
  }));
}

export function showRelease(adapter: BullMQAdapter): void {
  const idOf = (data: Partial<ReleaseJob>) => publicId("sub", data.subscription);
  adapter.setFormatter("name", ({ name, data }: { name: string; data: Partial<ReleaseJob> }) =>
    [name, idOf(data)].filter(Boolean).join(" of "),
  );
  adapter.setFormatter("data", (data: Partial<ReleaseJob>) => ({
    ...data,
    ...pathOf("subscriptions", "sub", data.subscription),
  }));
}

function pathOf(list: string, prefix: IdPrefix, uuid: unknown): { api?: string } {
  const id = publicId(prefix, uuid);
  return id === undefined ? {} : { api: `/v1/${list}/${id}` };
}

/** Undefined where the job has no valid id: it may come from another version or program. */
function publicId(prefix: IdPrefix, uuid: unknown): string | undefined {
  try {
    return typeof uuid === "string" ? toPublicId(prefix, uuid) : undefined;
  } catch {
    return undefined;
  }
}
