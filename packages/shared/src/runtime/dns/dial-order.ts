import { isIPv6 } from "node:net";
import { networkInterfaces } from "node:os";

/** How often the machine's addresses are read. */
const REFRESH_MS = 10_000;
/** Of the whole IPv6 internet. Unique local addresses (fc00::/7) lead only to one's own network. */
const GLOBAL_UNICAST = /^[23]/;

let has = { IPv4: true, IPv6: false };
let readAt = Number.NEGATIVE_INFINITY;

/** Puts IPv6 first on a machine that has it, and last on one that has not (RFC 8305, section 4; RFC 6724, rule 1). */
export function inDialOrder(addresses: readonly string[]): string[] {
  const { IPv6 } = ownFamilies();
  const place = (address: string) => (isIPv6(address) === IPv6 ? 0 : 1);
  return addresses.toSorted((a, b) => place(a) - place(b));
}

/** Whether this machine has addresses of the same family. */
export const isDialable = (address: string): boolean => ownFamilies()[isIPv6(address) ? "IPv6" : "IPv4"];

function ownFamilies(): typeof has {
  const now = performance.now();
  if (now - readAt < REFRESH_MS) return has;
  readAt = now;
  const own = Object.values(networkInterfaces()).flatMap((one) => one ?? []);
  const IPv6 = own.some(({ family, address }) => family === "IPv6" && GLOBAL_UNICAST.test(address));
  // Without an address of either family, only this machine itself is reached.
  has = { IPv6, IPv4: !IPv6 || own.some(({ family, internal }) => family === "IPv4" && !internal) };
  return has;
}
