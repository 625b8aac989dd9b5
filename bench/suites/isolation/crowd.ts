import type { NewSubscription } from "@postrider/testkit/client/types.ts";
import type { Target } from "../../processes/event-source.ts";
import type { Behaviour } from "../../processes/subscribers.ts";
import type { Fleet } from "../../support/fleet.ts";
import { startBlackHoles } from "../../support/subscribers.ts";

export const HEALTHY = 80;
const SLOW = 10;
const FAILING = 3;
const SILENT = 2;
const UNACCEPTING = 2;
/** No server listens on the discard port; the three loopback addresses stand for three hosts. */
const REFUSING = ["http://127.0.0.2:9/hook", "http://127.0.0.3:9/hook", "http://127.0.0.4:9/hook"];

/** Subscribers with a server of their own; the others are only addresses. */
export const CROWD: readonly Behaviour[] = [
  ...Array.from({ length: HEALTHY }, (): Behaviour => "healthy"),
  ...Array.from({ length: SLOW }, (): Behaviour => "slow"),
  ...Array.from({ length: FAILING }, (): Behaviour => "failing"),
  ...Array.from({ length: SILENT }, (): Behaviour => "silent"),
];

/** Each subscription has its own event type, so that every event matches exactly one. */
export async function subscribeCrowd(fleet: Fleet, policy: Pick<NewSubscription, "maxInFlight">): Promise<void> {
  const unaccepting = await startBlackHoles(UNACCEPTING, fleet.adopt);
  const urls = [...fleet.subscribers.urls, ...unaccepting, ...REFUSING];
  for (const [number, url] of urls.entries()) {
    await fleet.subscribe({ ...policy, url, eventTypes: [typeOf(number)] });
  }
}

const target = (number: number): Target => ({ tenant: "default", type: typeOf(number), number });
const typeOf = (number: number): string => `bench.subscriber-${number}`;

/** One event for every healthy subscriber, and nothing else. */
export const HEALTHY_ONLY: readonly Target[] = Array.from({ length: HEALTHY }, (_, number) => target(number));

/** The same, with an event for a dead or slow subscriber, in turn, after every fourth one. */
export const ALL: readonly Target[] = HEALTHY_ONLY.flatMap((healthy, index) => {
  if (index % 4 !== 3) return [healthy];
  const turn = index >> 2;
  const bad = turn % 2 === 0 ? turn >> 1 : SLOW + (turn >> 1);
  return [healthy, target(HEALTHY + bad)];
});
