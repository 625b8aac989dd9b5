import { isIP } from "node:net";
import ipaddr from "ipaddr.js";

const WINDOW_MS = 60_000;
/** More networks than that in one window share one count. */
const MAX_NETWORKS = 10_000;
const OTHERS = "others";

/**
 * Counts failed logins per address, in windows of a minute. A right password or key is never counted, nor refused for
 * the failures of others at its address: the caller checks it first.
 */
export class FailureThrottle {
  readonly #maxPerMinute: number;
  readonly #now: () => number;
  #windowEndsAt = 0;
  readonly #byNetwork = new Map<string, number>();

  /** @param now milliseconds that never go back */
  constructor(maxPerMinute: number, now: () => number) {
    this.#maxPerMinute = maxPerMinute;
    this.#now = now;
  }

  /**
   * Counts a failure.
   *
   * @returns seconds until the next minute if this is one too many, else 0; and whether it is the first that is
   */
  countFailure(address: string): { waitSeconds: number; isFirstRefused: boolean } {
    const secondsLeft = this.#secondsLeft();
    const key = this.#keyOf(address);
    const failures = (this.#byNetwork.get(key) ?? 0) + 1;
    this.#byNetwork.set(key, failures);
    const waitSeconds = failures > this.#maxPerMinute ? secondsLeft : 0;
    return { waitSeconds, isFirstRefused: failures === this.#maxPerMinute + 1 };
  }

  /**
   * @returns where the next failure of the address would be one too many: the seconds until the next minute, and the
   * name of what is counted together
   */
  limitOf(address: string): { waitSeconds: number; key: string } | undefined {
    const waitSeconds = this.#secondsLeft();
    const key = this.#keyOf(address);
    return (this.#byNetwork.get(key) ?? 0) < this.#maxPerMinute ? undefined : { waitSeconds, key };
  }

  /** Begins another window where the last one is over. */
  #secondsLeft(): number {
    const now = this.#now();
    if (now >= this.#windowEndsAt) {
      this.#windowEndsAt = now + WINDOW_MS;
      this.#byNetwork.clear();
    }
    return Math.ceil((this.#windowEndsAt - now) / 1_000);
  }

  #keyOf(address: string): string {
    const network = networkOf(address);
    return this.#byNetwork.has(network) || this.#byNetwork.size < MAX_NETWORKS ? network : OTHERS;
  }
}

/** A host can choose any IPv6 address in its /64, so a /64 counts as one address. */
function networkOf(address: string): string {
  const parsed = isIP(address) === 0 ? undefined : ipaddr.process(address);
  return parsed instanceof ipaddr.IPv6 ? parsed.parts.slice(0, 4).join(":") : address;
}
