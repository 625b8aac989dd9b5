import type { Breakers } from "../breaker/breakers.ts";
import type { Enqueue } from "../queue/enqueue.ts";

/**
 * Closes a subscription's breaker where its state no longer matters: a person said that the receiver is well, or the
 * subscription has ended. Its release job runs at once and releases, cancels, or ends. While Redis is unreachable there
 * is no breaker to close.
 */
export async function resetBreaker(
  { breakers, enqueue }: { breakers: Pick<Breakers, "apply">; enqueue: Pick<Enqueue, "wakeRelease"> },
  subscriptionId: string,
): Promise<void> {
  await breakers.apply(subscriptionId, { kind: "reset" }).catch(() => undefined);
  void enqueue.wakeRelease(subscriptionId);
}
