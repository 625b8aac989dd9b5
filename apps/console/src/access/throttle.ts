import { isIPv6 } from "node:net";

const WINDOW_MS = 60_000;
/** A person mistypes a few times; a program that guesses gets no further than 72,000 tries a day in all. */
const PER_ADDRESS = 10;
const IN_ALL = 50;

/** Counts failed logins by address and in all, in windows of a minute. Who is logged in already is not affected. */
export class LoginThrottle {
  readonly #now: () => number;
  #windowEnds = 0;
  #inAll = 0;
  // Holds at most IN_ALL entries: what is over the limit is not counted any more.
  readonly #byAddress = new Map<string, number>();

  constructor(now: () => number) {
    this.#now = now;
  }

  /** @returns seconds until this address may try again, 0 for now */
  waitSeconds(address: string): number {
    const now = this.#now();
    if (now >= this.#windowEnds) {
      this.#windowEnds = now + WINDOW_MS;
      this.#inAll = 0;
      this.#byAddress.clear();
    }
    const isOver = this.#inAll >= IN_ALL || (this.#byAddress.get(network(address)) ?? 0) >= PER_ADDRESS;
    return isOver ? Math.ceil((this.#windowEnds - now) / 1_000) : 0;
  }

  failed(address: string): void {
    const key = network(address);
    this.#inAll += 1;
    this.#byAddress.set(key, (this.#byAddress.get(key) ?? 0) + 1);
  }
}

/** One IPv6 subscriber has a /64 to choose addresses from; it counts as one. */
function network(address: string): string {
  if (!isIPv6(address) || address.includes(".")) return address;
  const [head = "", tail = ""] = address.split("::");
  const groups = head.split(":").filter(Boolean);
  const after = tail.split(":").filter(Boolean);
  const zeros = address.includes("::") ? 8 - groups.length - after.length : 0;
  return [...groups, ...Array.from({ length: zeros }, () => "0"), ...after].slice(0, 4).join(":");
}
