import { BlockList, isIP } from "node:net";
import ipaddr from "ipaddr.js";

/**
 * Parses a list of networks: comma-separated CIDRs or single addresses, IPv4 and IPv6. An empty text is an empty list.
 *
 * @returns the networks, or a sentence that names the invalid entry
 */
export function parseNetworks(text: string): BlockList | { problem: string } {
  const networks = new BlockList();
  for (const entry of text.split(",").map((part) => part.trim())) {
    if (entry === "") continue;
    const [address = "", prefix, ...rest] = entry.split("/");
    const version = isIP(address);
    const bits = version === 4 ? 32 : 128;
    const length = prefix === undefined ? bits : /^\d{1,3}$/.test(prefix) ? Number(prefix) : Number.NaN;
    if (version === 0 || address.includes("%") || rest.length > 0 || !(length >= 0 && length <= bits)) {
      return { problem: `"${entry}" is not a network (write 10.0.0.0/8, 192.168.1.7 or fd00::/8)` };
    }
    networks.addSubnet(address, length, version === 4 ? "ipv4" : "ipv6");
  }
  return networks;
}

/**
 * Ranges that ipaddr.js reports as unicast although they are not public. From the IANA special-purpose registries
 * (https://www.iana.org/assignments/iana-ipv6-special-registry), and the forms that embed an IPv4 address.
 */
const ALSO_SPECIAL = parseNetworks(
  [
    // Protocol assignments, AS112, AMT, 6to4 relay.
    "192.0.0.0/24, 192.31.196.0/24, 192.52.193.0/24, 192.88.99.0/24, 192.175.48.0/24",
    "::/96", // unspecified, loopback, IPv4-compatible (deprecated, embeds an IPv4 address)
    "64:ff9b::/96, 64:ff9b:1::/48", // NAT64 (embeds an IPv4 address)
    "100::/64, 100:0:0:1::/64", // discard, dummy prefix
    "2001::/23", // Teredo, ORCHID, benchmarking and the other protocol assignments
    "2001:db8::/32, 3fff::/20", // documentation
    "2002::/16", // 6to4 (embeds an IPv4 address)
    "2620:4f:8000::/48", // AS112
    "5f00::/16", // segment routing
    "fec0::/10", // site-local (deprecated)
  ].join(","),
) as BlockList;

/** The only assigned global unicast range of IPv6 (RFC 4291, section 2.4); everything else is reserved. */
const GLOBAL_UNICAST_V6 = parseNetworks("2000::/3") as BlockList;

/**
 * Whether deliveries may reach an address: public unicast, or inside `allowed`.
 *
 * Everything else is refused: loopback, private, link-local, CGNAT, multicast, reserved, documentation, and the IPv6
 * forms that embed an IPv4 address (IPv4-compatible, NAT64, 6to4, Teredo, ISATAP), because a gateway would route them
 * to an address that was never checked. A v4-mapped address is checked as its IPv4 address.
 *
 * @param address an IP literal; anything else is refused
 */
export function isAllowedAddress(address: string, allowed: BlockList): boolean {
  const version = isIP(address);
  if (version === 0 || address.includes("%")) return false;
  if (version === 4) return allowed.check(address, "ipv4") || isPublicV4(address);
  // The URL parser removes dotted notation: ipaddr.js would parse ::8.8.8.8 as the v4-mapped ::ffff:8.8.8.8.
  const canonical = new URL(`http://[${address}]/`).hostname.slice(1, -1);
  const parsed = ipaddr.IPv6.parse(canonical);
  if (parsed.isIPv4MappedAddress()) return isAllowedAddress(parsed.toIPv4Address().toString(), allowed);
  return allowed.check(canonical, "ipv6") || isPublicV6(canonical, parsed);
}

const isPublicV4 = (address: string): boolean =>
  ipaddr.IPv4.parse(address).range() === "unicast" && !ALSO_SPECIAL.check(address, "ipv4");

function isPublicV6(address: string, parsed: ipaddr.IPv6): boolean {
  if (parsed.range() !== "unicast" || ALSO_SPECIAL.check(address, "ipv6")) return false;
  // ISATAP (RFC 5214, section 6.1): an interface id of 000000ug00000000:5efe (bits u and g are either) followed by an
  // IPv4 address, under any prefix.
  const [, , , , high, low] = parsed.parts;
  const isIsatap = low === 0x5efe && high !== undefined && (high & ~0x0300) === 0;
  return GLOBAL_UNICAST_V6.check(address, "ipv6") && !isIsatap;
}
