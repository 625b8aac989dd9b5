import { isIP } from "node:net";
import ipaddr from "ipaddr.js";
import type { AllowedPorts } from "./allowed-ports.ts";
import { canonical, Networks, parseNetworks } from "./networks.ts";

/** Where deliveries may go. */
export interface AddressRules {
  /** Beyond the public internet. */
  allowed: Networks;
  /** Never, unless `allowed` names the address by itself. */
  denied: Networks;
  ports: AllowedPorts;
}

const list = (...networks: string[]): Networks => {
  const parsed = parseNetworks(networks.join(","));
  if ("problem" in parsed) throw new Error(parsed.problem);
  return parsed;
};

/**
 * Ranges that ipaddr.js reports as unicast although they are not public. From the IANA special-purpose registries
 * (https://www.iana.org/assignments/iana-ipv6-special-registry), and the forms that embed an IPv4 address.
 */
const ALSO_SPECIAL = list(
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
);

/**
 * Services of clouds that give credentials to any process of a machine. One of their addresses is public, and the others
 * are inside of private networks that an operator may want to allow.
 */
const CLOUD_SERVICES = list(
  // Link-local: instance metadata of nearly all clouds (169.254.169.254), task and pod credentials of ECS and EKS
  // (169.254.170.2, 169.254.170.23), GKE (169.254.169.252), Tencent (169.254.0.23), Scaleway (169.254.42.42).
  "169.254.0.0/16",
  // AWS: metadata, pod credentials, DNS, time.
  // https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/configuring-instance-metadata-service.html
  "fd00:ec2::/32",
  "fd20:ce::254", // Google: https://cloud.google.com/compute/docs/metadata/querying-metadata
  "168.63.129.16", // Azure: https://learn.microsoft.com/azure/virtual-network/what-is-ip-address-168-63-129-16
  // Alibaba: https://www.alibabacloud.com/help/en/ecs/user-guide/view-instance-metadata
  "100.100.100.200, fd00:100::100:200",
  "100.96.0.96", // Volcengine: https://www.volcengine.com/docs/6396/70377
  // Oracle, classic and IPv6: https://docs.oracle.com/iaas/Content/Compute/Tasks/gettingmetadata.htm
  "192.0.0.192, fd00:c1::a9fe:a9fe",
  "fd00:42::42", // Scaleway: https://www.scaleway.com/en/docs/instances/how-to/use-cloud-init
  "fd00:a9fe:a9fe::1", // Akamai: https://techdocs.akamai.com/cloud-computing/docs/overview-of-the-metadata-service
  // NAT64 of a network's own choice (RFC 8215). The place of the IPv4 address depends on the length of its prefix.
  "64:ff9b:1::/48",
);

/** The only assigned global unicast range of IPv6 (RFC 4291, section 2.4); everything else is reserved. */
const GLOBAL_UNICAST_V6 = list("2000::/3");

/**
 * Whether deliveries may reach an address: public unicast or allowed, and not denied.
 *
 * Everything else is refused: loopback, private, link-local, CGNAT, multicast, reserved, documentation. A v4-mapped
 * address is checked as its IPv4 address. The other IPv6 forms that embed an IPv4 address (IPv4-compatible and
 * -translated, NAT64, 6to4, Teredo, ISATAP) have to be allowed themselves, and so has the embedded address, because a
 * gateway may route them to it. A denied address, or one of a cloud's services, has to be named by itself.
 *
 * @param address an IP literal; anything else is refused
 */
export function isAllowedAddress(address: string, rules: Pick<AddressRules, "allowed" | "denied">): boolean {
  const version = isIP(address);
  if (version === 0 || address.includes("%")) return false;
  if (version === 4) return isAllowedByItself(address, isPublicV4(address), rules);
  const text = canonical(address);
  const parsed = ipaddr.IPv6.parse(text);
  if (parsed.isIPv4MappedAddress()) return isAllowedAddress(parsed.toIPv4Address().toString(), rules);
  return (
    isAllowedByItself(text, isPublicV6(text, parsed), rules) &&
    embeddedIn(text, parsed).every((embedded) => isAllowedAddress(embedded, rules))
  );
}

function isAllowedByItself(
  address: string,
  isPublic: boolean,
  { allowed, denied }: Pick<AddressRules, "allowed" | "denied">,
): boolean {
  if (allowed.names(address)) return true;
  return (isPublic || allowed.has(address)) && !denied.has(address) && !CLOUD_SERVICES.has(address);
}

const isPublicV4 = (address: string): boolean =>
  ipaddr.IPv4.parse(address).range() === "unicast" && !ALSO_SPECIAL.has(address);

const isPublicV6 = (address: string, parsed: ipaddr.IPv6): boolean =>
  parsed.range() === "unicast" &&
  !ALSO_SPECIAL.has(address) &&
  GLOBAL_UNICAST_V6.has(address) &&
  embeddedIn(address, parsed).length === 0;

/** Forms with the IPv4 address in the last four bytes: IPv4-compatible, IPv4-translated (RFC 2765), NAT64 (RFC 6052). */
const V4_AT_END = list("::/96, ::ffff:0:0:0/96, 64:ff9b::/96");
const SIX_TO_FOUR = list("2002::/16");
const TEREDO = list("2001::/32");

/** The IPv4 addresses that an IPv6 address embeds. */
function embeddedIn(address: string, parsed: ipaddr.IPv6): string[] {
  const bytes = parsed.toByteArray();
  const v4 = (at: number, mask = 0) =>
    bytes
      .slice(at, at + 4)
      .map((byte: number) => byte ^ mask)
      .join(".");
  if (address === "::1") return [];
  if (V4_AT_END.has(address)) return [v4(12)];
  if (SIX_TO_FOUR.has(address)) return [v4(2)];
  // RFC 4380, section 4: the server, and the client with its bits inverted.
  if (TEREDO.has(address)) return [v4(4), v4(12, 0xff)];
  // ISATAP (RFC 5214, section 6.1): an interface id of 000000ug00000000:5efe (bits u and g are either) followed by an
  // IPv4 address, under any prefix.
  const [, , , , high, low] = parsed.parts;
  const isIsatap = low === 0x5efe && high !== undefined && (high & ~0x0300) === 0;
  return isIsatap ? [v4(12)] : [];
}
