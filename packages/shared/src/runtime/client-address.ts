import type { IncomingMessage } from "node:http";
import ipaddr from "ipaddr.js";
import type { Networks } from "../core/networks.ts";

/**
 * Creates a function that returns the address of a request's client: for the log and for throttles.
 *
 * `X-Forwarded-For` counts only where the connection comes from a trusted proxy. Each proxy appends the address of its
 * client, so the list is read from its end, and only for as long as the addresses are proxies themselves. Anything
 * before the last proxy's entry may have been sent by the client.
 *
 * @param trusted the setting TRUST_PROXY
 * @returns an address without a zone or a port; v4-mapped addresses as IPv4; "unknown" once the connection is closed
 */
export function createClientAddress(trusted: Networks): (request: IncomingMessage) => string {
  const peers = new WeakMap<object, Peer>();
  /** A connection has many requests, and parsing an IPv6 address takes 20 µs. */
  function peerOf(socket: IncomingMessage["socket"]): Peer | undefined {
    const known = peers.get(socket);
    if (known) return known;
    const address = parseAddress(socket.remoteAddress ?? "");
    if (address === undefined) return undefined;
    const peer = { address: address.toString(), isTrusted: isIn(trusted, address) };
    peers.set(socket, peer);
    return peer;
  }

  return ({ socket, headers }) => {
    const peer = peerOf(socket);
    if (!peer?.isTrusted) return peer?.address ?? "unknown";
    let { address } = peer;
    const forwardedFor = headers["x-forwarded-for"];
    const entries = typeof forwardedFor === "string" ? forwardedFor.split(",") : [];
    for (const entry of entries.toReversed()) {
      const before = parseAddress(entry.trim());
      // "unknown", or a proxy that hides its clients.
      if (before === undefined) break;
      address = before.toString();
      // A client on the proxy's own machine is not another proxy, although loopback is trusted there.
      if (!isIn(trusted, before) || before.range() === "loopback") break;
    }
    return address;
  };
}

/** The other end of a connection. */
interface Peer {
  address: string;
  isTrusted: boolean;
}

/** Whether the other end of the connection is a trusted proxy. */
export function isTrustedProxy(trusted: Networks, remoteAddress: string | undefined): boolean {
  const address = parseAddress(remoteAddress ?? "");
  return address !== undefined && isIn(trusted, address);
}

type Address = ipaddr.IPv4 | ipaddr.IPv6;

const isIn = (networks: Networks, address: Address): boolean => networks.has(address.toString());

/** Some proxies append the port: `192.0.2.1:4711`, `[2001:db8::1]:4711`. */
function parseAddress(text: string): Address | undefined {
  const withoutPort = /^\[([^\]]+)\](?::\d+)?$|^([\d.]+):\d+$/.exec(text);
  const plain = (withoutPort?.[1] ?? withoutPort?.[2] ?? text).split("%")[0]!;
  if (!ipaddr.IPv4.isValidFourPartDecimal(plain) && !ipaddr.IPv6.isValid(plain)) return undefined;
  return ipaddr.process(plain);
}
