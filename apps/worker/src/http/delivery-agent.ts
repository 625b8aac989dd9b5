import { isIP, type Socket } from "node:net";
import { Agent, buildConnector, errors } from "undici";
import type { AddressRules } from "@postrider/shared/core/address-rules.ts";
import { portOf } from "@postrider/shared/core/allowed-ports.ts";
import type { LookupResult } from "@postrider/shared/runtime/dns/lookup-result.ts";
import type { NameResolver } from "@postrider/shared/runtime/dns/name-resolver.ts";
import { mayConnect } from "@postrider/shared/runtime/own-ports.ts";
import { dialFirst } from "./dial.ts";
import { ignoreContinue } from "./ignore-continue.ts";
import { LookupError, NoLookupError } from "./lookup-error.ts";
import { requester } from "./requester.ts";

/** The host has no address that deliveries may reach. Nothing was sent. The message is not for the tenant. */
export class AddressNotAllowedError extends Error {
  constructor(host: string, addresses: readonly string[]) {
    super(`${host} is at ${addresses.join(", ")}, which deliveries may not reach`);
    this.name = "AddressNotAllowedError";
  }
}

/** Deliveries may not use the URL's port. Nothing was sent. */
export class PortNotAllowedError extends Error {
  override readonly name = "PortNotAllowedError";
}

/** A phase of connecting. A URL with an address has no `dns` phase, and plain HTTP no `tls` phase. */
export type ConnectPhase = "dns" | "connect" | "tls";

/**
 * Creates the HTTP client of all deliveries. It connects to allowed addresses and ports only. The addresses that were checked are
 * the ones that are dialled, so DNS rebinding is not possible. Redirects are not followed: undici follows them only with
 * an interceptor.
 *
 * @param connectTimeoutMs for DNS and TCP, and again for TLS; the delivery's own deadline applies as well
 * @param resolver looks up the addresses of a host, in the order in which to dial them
 * @param onPhase called with the duration of each phase of a new connection, in seconds
 * @param ownPorts ports of this machine that are never connected to (setting OWN_PORTS)
 */
export function createDeliveryAgent(
  rules: AddressRules,
  connectTimeoutMs: number,
  resolver: Pick<NameResolver, "lookUp">,
  onPhase: (phase: ConnectPhase, seconds: number) => void,
  ownPorts: ReadonlySet<number> = new Set(),
): Agent {
  const startTls = buildConnector({ timeout: connectTimeoutMs, allowH2: false });

  const connect: buildConnector.connector = (options, callback) => {
    const { hostname, protocol } = options;
    const port = portOf(options);
    if (!rules.ports.has(port)) return callback(new PortNotAllowedError(`port ${port} is not allowed`), null);
    const endPhase = phaseTimer(onPhase);
    let stopDialling = () => undefined as void;

    const onConnected = (error: Error | null, socket: Socket | null) => {
      clearTimeout(deadline);
      if (!socket) return callback(error ?? new errors.ConnectTimeoutError(), null);
      endPhase("connect");
      if (protocol !== "https:") return takeOver(socket, callback);
      startTls({ ...options, httpSocket: socket }, (...[tlsError, tlsSocket]) => {
        if (tlsError) return callback(tlsError, null);
        endPhase("tls");
        takeOver(tlsSocket, callback);
      });
    };
    const deadline = setTimeout(() => {
      stopWaiting();
      stopDialling();
      onConnected(null, null);
    }, connectTimeoutMs);

    const onResolved = (result: LookupResult) => {
      if (result.kind === "unavailable") return onConnected(new NoLookupError(result), null);
      if (result.kind !== "found") return onConnected(new LookupError(result), null);
      if (!isIP(hostname)) endPhase("dns");
      const { addresses } = result;
      const usable = addresses.filter((address) => mayConnect({ addressRules: rules, ownPorts }, address, port));
      if (usable.length === 0) return onConnected(new AddressNotAllowedError(hostname, addresses), null);
      stopDialling = dialFirst(usable, port, onConnected);
    };
    const { tenant, timeoutMs } = requester.getStore() ?? { tenant: "", timeoutMs: connectTimeoutMs };
    // undici has removed the brackets of an IPv6 address.
    const stopWaiting = resolver.lookUp({ host: hostname, tenant, timeoutMs }, onResolved);
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

/** Gives a connected socket to undici. */
function takeOver(socket: Socket, callback: buildConnector.Callback): void {
  callback(null, socket);
  ignoreContinue(socket);
}

function phaseTimer(onPhase: (phase: ConnectPhase, seconds: number) => void): (phase: ConnectPhase) => void {
  let since = performance.now();
  return (phase) => {
    const now = performance.now();
    onPhase(phase, (now - since) / 1000);
    since = now;
  };
}
