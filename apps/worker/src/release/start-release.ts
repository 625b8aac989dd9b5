import type { Redis } from "ioredis";
import type { Enqueue } from "@postrider/shared/queue/enqueue.ts";
import type { Queues } from "@postrider/shared/queue/queues.ts";
import type { Logger } from "@postrider/shared/runtime/telemetry/logger.ts";

/**
 * Adds the release job of a subscription where there is none, after some of its deliveries were held. It is called for
 * every held delivery, so the subscriptions are collected while a call is under way, and only missing jobs are added.
 *
 * The job may be about to end. It checks again after its end (control-lane.ts), so that a delivery whose hold was
 * committed before is seen either here or there.
 */
export function createReleaseStarter(
  queues: Pick<Queues, "control">,
  enqueue: Pick<Enqueue, "release">,
  redis: Redis,
  log: Logger,
): (subscriptionId: string) => void {
  const requested = new Set<string>();
  let isRunning = false;

  async function run(): Promise<void> {
    await new Promise<void>((resolve) => setImmediate(resolve));
    while (requested.size > 0) {
      const ids = [...requested];
      requested.clear();
      await start(ids).catch((error: unknown) =>
        log.debug({ err: error }, "could not add a release job; leaving it to the watchdog"),
      );
    }
    isRunning = false;
  }

  async function start(ids: readonly string[]): Promise<void> {
    const keys = ids.map((id) => queues.control.toKey(id));
    // Every batch has deliveries to hold for a dead subscriber, whose job exists already: that costs one command.
    if ((await redis.exists(keys)) === keys.length) return;
    const existing = await Promise.all(keys.map((key) => redis.exists(key)));
    const missing = ids.filter((_, index) => existing[index] === 0);
    await enqueue.release(missing);
  }

  return (subscriptionId) => {
    requested.add(subscriptionId);
    if (isRunning) return;
    isRunning = true;
    void run();
  };
}
