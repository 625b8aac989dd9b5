import { vi } from "vitest";
import type { SlotRequest, SlotResult } from "./slot-pool.ts";

/** A signal that never aborts. */
export const never = new AbortController().signal;

export const noTokens = () => Promise.reject(new Error("no subscription has a rate limit here"));

let made = 0;
/** A request of a delivery that is younger than all before it. */
export const request = (subscription: string, over: Partial<SlotRequest> = {}): SlotRequest => ({
  subscription,
  canBeHeld: true,
  tenant: "default",
  order: String((made += 1)).padStart(9, "0"),
  maxInFlight: 32,
  rate: null,
  rateLimitName: "rate_limit",
  signal: never,
  onBlocked: () => undefined,
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
