import { lookup, type LookupAddress, type LookupOptions } from "node:dns";
import { isIP, type BlockList, type Socket } from "node:net";
import { Agent, buildConnector } from "undici";
import { isAllowedAddress } from "@postrider/shared/core/address-rules.ts";

/** The host resolves to no address that deliveries may reach. Nothing was sent. */
export class AddressNotAllowedError extends Error {
  constructor(host: string, addresses: readonly string[]) {
    super(`${host} is at ${addresses.join(", ")}, which deliveries may not reach`);
    this.name = "AddressNotAllowedError";
  }
}

/** A phase of connecting. A URL with an address has no `dns` phase, and plain HTTP no `tls` phase. */
export type ConnectPhase = "dns" | "connect" | "tls";

type LookupCallback = (error: Error | null, address: string | LookupAddress[], family?: number) => void;

/**
 * Creates the HTTP client of all deliveries. It connects to allowed addresses only. The check is part of the
 * connection's own DNS look-up, so the address that was checked is the address that is dialled, and DNS rebinding is
 * not possible. Redirects are not followed: undici follows them only with an interceptor.
 *
 * @param allowed networks beyond the public internet (setting ALLOWED_NETWORKS)
 * @param connectTimeoutMs for TCP and TLS; the delivery's own deadline applies as well
 * @param onPhase called with the duration of each phase of a new connection, in seconds
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
    // undici's types say that the connector returns nothing. It returns the socket, whose events end the phases.
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
  const endPhase = (phase: ConnectPhase) => {
    const now = performance.now();
    onPhase(phase, (now - since) / 1000);
    since = now;
  };
  // A host with several addresses is looked up once, but emits `lookup` for each.
  socket.once("lookup", () => endPhase("dns"));
  socket.once("connect", () => endPhase("connect"));
  socket.once("secureConnect", () => endPhase("tls"));
}
