import { networkInterfaces } from "node:os";
import ipaddr from "ipaddr.js";
import { isAllowedAddress } from "../core/address-rules.ts";
import type { DeliverySettings } from "./settings/delivery.ts";

/**
 * Whether a destination is a port of this machine that deliveries may never reach, although its address is allowed.
 *
 * @param ownPorts the setting OWN_PORTS
 * @param address an IP literal
 */
export const isOwnPort = (ownPorts: ReadonlySet<number>, address: string, port: number): boolean =>
  ownPorts.has(port) && isOwnAddress(address);

/** Whether deliveries may connect to a port of an address. */
export const mayConnect = (
  { addressRules, ownPorts }: Pick<DeliverySettings, "addressRules" | "ownPorts">,
  address: string,
  port: number,
): boolean => isAllowedAddress(address, addressRules) && !isOwnPort(ownPorts, address, port);

/** 0.0.0.0 and :: connect to this machine too. */
function isOwnAddress(text: string): boolean {
  const address = ipaddr.process(text);
  if (["loopback", "unspecified"].includes(address.range())) return true;
  const own = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  return own.some((one) => ipaddr.process(one.address).toString() === address.toString());
}
