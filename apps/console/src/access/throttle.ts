import { isIPv6 } from "node:net";

const WINDOW_MS = 60_000;
/** Enough for a person who mistypes. A program that guesses gets 72,000 tries a day in total. */
const MAX_PER_ADDRESS = 10;
const MAX_TOTAL = 50;

/** Limits failed logins per address and in total, in windows of a minute. Sessions are not affected. */
export class LoginThrottle {
  readonly #now: () => number;
  #windowEndsAt = 0;
  #total = 0;
  // Has at most MAX_TOTAL entries: logins beyond the limit are refused before they are counted.
  readonly #byAddress = new Map<string, number>();

  constructor(now: () => number) {
    this.#now = now;
  }

  /** @returns seconds until this address may try again; 0 where it may now */
  waitSeconds(address: string): number {
    const now = this.#now();
    if (now >= this.#windowEndsAt) {
      this.#windowEndsAt = now + WINDOW_MS;
      this.#total = 0;
      this.#byAddress.clear();
    }
    const isOverLimit = this.#total >= MAX_TOTAL || (this.#byAddress.get(network(address)) ?? 0) >= MAX_PER_ADDRESS;
    return isOverLimit ? Math.ceil((this.#windowEndsAt - now) / 1_000) : 0;
  }

  recordFailure(address: string): void {
    const key = network(address);
    this.#total += 1;
    this.#byAddress.set(key, (this.#byAddress.get(key) ?? 0) + 1);
  }
}

/** A host can choose any IPv6 address in its /64, so a /64 counts as one address. */
function network(address: string): string {
  if (!isIPv6(address) || address.includes(".")) return address;
  const [head = "", tail = ""] = address.split("::");
  const groups = head.split(":").filter(Boolean);
  const after = tail.split(":").filter(Boolean);
  const zeros = address.includes("::") ? 8 - groups.length - after.length : 0;
  return [...groups, ...Array.from({ length: zeros }, () => "0"), ...after].slice(0, 4).join(":");
}
