import { vi } from "vitest";
import type { SlotRequest, SlotResult } from "./slot-pool.ts";
import { Slots } from "./slots.ts";

/** A signal that never aborts. */
export const never = new AbortController().signal;

/** Longer than any request of these tests takes. */
export const TIMEOUT_MS = 15_000;

export const noTokens = () => Promise.reject(new Error("no subscription has a rate limit here"));

let made = 0;
/** A request of a proven subscription, for a delivery that is younger than all before it. */
export const request = (subscription: string, over: Partial<SlotRequest> = {}): SlotRequest => ({
  subscription,
  tenant: "default",
  order: String((made += 1)).padStart(9, "0"),
  isProbe: false,
  isManual: false,
  isProven: true,
  canBeHeld: true,
  maxInFlight: 32,
  rate: null,
  rateLimitName: "rate_limit",
  bytes: 100,
  signal: never,
  ...over,
});

/** The results so far of requests for a slot. */
export function track(requests: readonly Promise<SlotResult>[]) {
  const results: (SlotResult | undefined)[] = requests.map(() => undefined);
  for (const [index, result] of requests.entries()) void result.then((it) => (results[index] = it));
  return {
    async kinds() {
      await vi.advanceTimersByTimeAsync(0);
      return results.map((result) => result?.kind ?? "waiting");
    },
    granted(index: number) {
      const result = results[index];
      if (result?.kind !== "granted") throw new Error(`request ${index} is ${result?.kind ?? "waiting"}`);
      return result;
    },
  };
}

export const newPool = (size: number) => new Slots(size, TIMEOUT_MS, noTokens);
export const onTrial = (subscription: string, over: Partial<SlotRequest> = {}) =>
  request(subscription, { isProven: false, ...over });

/** Runs time on for a while. @returns how long a request waited for its slot, in milliseconds */
export async function waitOf(slots: Slots, wanted: SlotRequest): Promise<number> {
  const since = performance.now();
  let waitedMs = Number.POSITIVE_INFINITY;
  void slots.acquire(wanted).then((result) => {
    if (result.kind === "granted") {
      waitedMs = performance.now() - since;
      result.release(200);
    }
  });
  await vi.advanceTimersByTimeAsync(10_000);
  return waitedMs;
}
