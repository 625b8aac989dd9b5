import { BlockList, isIP } from "node:net";
import ipaddr from "ipaddr.js";

/**
 * A list of networks and single addresses. The families are apart: Node's BlockList would find every IPv4 address in
 * `::/0`, because it reads it as a v4-mapped one.
 */
export class Networks {
  readonly #v4 = new BlockList();
  readonly #v6 = new BlockList();
  readonly #single = new Set<string>();

  add(address: string, prefix: number): void {
    if (isIP(address) === 4) this.#v4.addSubnet(address, prefix, "ipv4");
    else this.#v6.addSubnet(address, prefix, "ipv6");
    if (prefix === (isIP(address) === 4 ? 32 : 128)) this.#single.add(canonical(address));
  }

  /** @param address canonical */
  has(address: string): boolean {
    return isIP(address) === 4 ? this.#v4.check(address, "ipv4") : this.#v6.check(address, "ipv6");
  }

  /** Whether the address stands in the list by itself, and not only a network that it is in. */
  names(address: string): boolean {
    return this.#single.has(address);
  }
}

/** The one spelling of an address. The URL parser's for IPv6 has no dotted notation, which ipaddr.js would misread. */
export const canonical = (address: string): string =>
  isIP(address) === 4 ? address : new URL(`http://[${address}]/`).hostname.slice(1, -1);

/**
 * Parses a list of networks: comma-separated CIDRs or single addresses, IPv4 and IPv6. An empty text is an empty list.
 *
 * @returns the networks, or a sentence that names the invalid entry
 */
export function parseNetworks(text: string): Networks | { problem: string } {
  const networks = new Networks();
  for (const entry of text.split(",").map((part) => part.trim())) {
    if (entry === "") continue;
    const [address = "", prefix, ...rest] = entry.split("/");
    const version = isIP(address);
    const bits = version === 4 ? 32 : 128;
    const length = prefix === undefined ? bits : /^\d{1,3}$/.test(prefix) ? Number(prefix) : Number.NaN;
    if (version === 0 || address.includes("%") || rest.length > 0 || !(length >= 0 && length <= bits)) {
      return { problem: `"${entry}" is not a network (write 10.0.0.0/8, 192.168.1.7 or fd00::/8)` };
    }
    if (version === 6 && length >= 96 && ipaddr.IPv6.parse(canonical(address)).isIPv4MappedAddress()) {
      return { problem: `"${entry}" is a network of IPv4 addresses (write it as one, such as 10.0.0.0/8)` };
    }
    networks.add(address, length);
  }
  return networks;
}
