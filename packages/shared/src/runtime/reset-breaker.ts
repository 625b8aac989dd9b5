import type { Context } from "../context.ts";

/**
 * Closes a subscription's breaker at a person's request and releases its held deliveries at once. While Redis is
 * unreachable there is no breaker to close.
 */
export async function resetBreaker(
  { breakers, enqueue }: Pick<Context, "breakers" | "enqueue">,
  subscriptionId: string,
): Promise<void> {
  await breakers.apply(subscriptionId, { kind: "reset" }).catch(() => undefined);
  void enqueue.wakeRelease(subscriptionId);
}
