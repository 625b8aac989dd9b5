import { loadDeliveriesByIds } from "@postrider/shared/store/sql/load-deliveries-by-ids.ts";
import { nextToProbeWith } from "@postrider/shared/store/sql/next-to-probe-with.ts";
import { now } from "@postrider/shared/runtime/clock.ts";
import type { Context } from "../context.ts";
import { showDeadLetter } from "../deliver/dead-letter.ts";
import { deliverWithin } from "../deliver/deliver-within.ts";
import type { Work } from "../delivery.ts";
import type { JobLease } from "../job/lease.ts";
import type { Releases } from "./releases.ts";

/** A probe waits for its slot in one of the lane's places. After this it is put back. */
const MAX_WAIT_MS = 1_000;
const MIN_PUT_BACK_MS = 1_000;
/** Beside others that wait for slots it is put back for longer: of 1,000 such probes about 65 a second then try. */
const PUT_BACK_MS_PER_WAITING = 200;

/**
 * Probes whether the subscriber is back, with one held delivery. The outcome is reported to the breaker.
 *
 * @returns false where nothing is held, so that there is nothing to probe with
 * @throws RetryLater where no slot is free
 */
export async function probe(
  context: Context,
  subscriptionId: string,
  lease: JobLease,
  releases: Releases,
): Promise<boolean> {
  const id = await nextToProbeWith(context.pool, subscriptionId, releases.cursors.of(subscriptionId).last);
  const [delivery] = id === undefined ? [] : await loadDeliveriesByIds(context.pool, [id]);
  if (!delivery) return false;
  // It left `held` since it was chosen: the next call chooses another one, or none.
  if (delivery.state !== "held") return true;
  const subscriber = (await context.loadSubscribers([subscriptionId], now())).get(subscriptionId)!;
  const { cooldownMs } = context.settings.breaker;
  const putBackMs = () => {
    const spreadMs = PUT_BACK_MS_PER_WAITING * releases.waitingProbes * (0.5 + Math.random());
    return Math.max(MIN_PUT_BACK_MS, Math.min(cooldownMs, spreadMs));
  };
  releases.waitingProbes += 1;
  const work: Work = { delivery, subscriber, trigger: "probe" };
  const result = await deliverWithin(context, work, lease, { maxWaitMs: MAX_WAIT_MS, putBackMs }, () => {
    releases.waitingProbes -= 1;
  });
  if (result.kind === "dead") await showDeadLetter(context, work, result);
  return true;
}
