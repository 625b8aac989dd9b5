import { lookup, type LookupAddress, type LookupOptions } from "node:dns";
import { isIP, type BlockList, type Socket } from "node:net";
import { Agent, buildConnector } from "undici";
import { isAllowedAddress } from "@postrider/shared/core/address-rules.ts";

/** The host is at no address that deliveries may reach. Nothing was sent. */
export class AddressNotAllowedError extends Error {
  constructor(host: string, addresses: readonly string[]) {
    super(`${host} is at ${addresses.join(", ")}, which deliveries may not reach`);
    this.name = "AddressNotAllowedError";
  }
}

/** A part of making a connection. An address in the URL needs no `dns`, and plain HTTP no `tls`. */
export type ConnectPhase = "dns" | "connect" | "tls";

type LookupCallback = (error: Error | null, address: string | LookupAddress[], family?: number) => void;

/**
 * The HTTP client of all deliveries. Its connections go to allowed addresses only: the address that is checked is the
 * address that is dialled, because the check is inside of the DNS look-up of the very connection, so a name that
 * changes its address in between (DNS rebinding) gains nothing. Redirects are not followed: undici does so only when asked.
 *
 * @param allowed networks beyond the public internet (setting ALLOWED_NETWORKS)
 * @param connectTimeoutMs for TCP and TLS; the delivery's own deadline comes on top
 * @param onPhase told how long each part of a new connection took, in seconds
 */
export function createDeliveryAgent(
  allowed: BlockList,
  connectTimeoutMs: number,
  onPhase: (phase: ConnectPhase, seconds: number) => void,
): Agent {
  const guardedLookup = (host: string, options: LookupOptions, callback: LookupCallback) => {
    lookup(host, { ...options, all: true }, (error, addresses) => {
      if (error) return callback(error, []);
      const usable = addresses.filter(({ address }) => isAllowedAddress(address, allowed));
      const [first] = usable;
      if (!first) return callback(new AddressNotAllowedError(host, addresses.map(({ address }) => address)), []); // prettier-ignore
      if (options.all) return callback(null, usable);
      return callback(null, first.address, first.family);
    });
  };
  const dial = buildConnector({ timeout: connectTimeoutMs, allowH2: false, lookup: guardedLookup });
  const connect: buildConnector.connector = (options, callback) => {
    // An address in the URL is dialled without a look-up.
    const host = options.hostname.replace(/^\[(.*)\]$/, "$1");
    if (isIP(host) && !isAllowedAddress(host, allowed)) {
      return callback(new AddressNotAllowedError(host, [host]), null);
    }
    // Typed as if it answered nothing; it answers the socket, which tells how far it is.
    const socket = dial(options, callback) as unknown as Socket | undefined;
    if (socket) timePhases(socket, onPhase);
  };
  return new Agent({
    connect,
    allowH2: false,
    pipelining: 1,
    keepAliveTimeout: 4_000,
    maxHeaderSize: 16 * 1024,
    // The delivery's deadline covers headers and body together.
    headersTimeout: 0,
    bodyTimeout: 0,
  });
}

function timePhases(socket: Socket, onPhase: (phase: ConnectPhase, seconds: number) => void): void {
  let since = performance.now();
  const ended = (phase: ConnectPhase) => {
    const now = performance.now();
    onPhase(phase, (now - since) / 1000);
    since = now;
  };
  // A name with several addresses is looked up once, and told of for each.
  socket.once("lookup", () => ended("dns"));
  socket.once("connect", () => ended("connect"));
  socket.once("secureConnect", () => ended("tls"));
}
