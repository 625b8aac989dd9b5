import type { HostsFile } from "./hosts-file.ts";

const LOOPBACK = ["127.0.0.1", "::1"];

/**
 * The addresses of names that are never looked up in DNS (RFC 6761): `localhost`, the names below it, and the names
 * below `invalid`, which have none.
 */
export function localAddresses(name: string, hosts: HostsFile): readonly string[] | undefined {
  if (name === "localhost" || name.endsWith(".localhost")) return hosts.find("localhost") ?? LOOPBACK;
  return name === "invalid" || name.endsWith(".invalid") ? [] : undefined;
}
