import { isAllowedAddress } from "@postrider/shared/core/address-rules.ts";
import type { NameResolver } from "@postrider/shared/runtime/dns/name-resolver.ts";
import { isOwnPort } from "@postrider/shared/runtime/own-ports.ts";
import type { IngestSettings } from "@postrider/shared/runtime/settings/ingest.ts";
import { Problem } from "../http/problem.ts";

const LOOKUP_TIMEOUT_MS = 2_000;

/**
 * Refuses a subscription's URL whose host is, or resolves only to, addresses that deliveries may not reach. It is early
 * advice for the caller: the worker checks the address it connects to. A name that does not resolve yet is accepted.
 *
 * @throws Problem address_not_allowed
 */
export async function checkAddress(
  resolver: NameResolver,
  { url, tenant }: { url: string; tenant: string },
  { allowedNetworks, ownPorts }: Pick<IngestSettings, "allowedNetworks" | "ownPorts">,
): Promise<void> {
  const { hostname, port, protocol } = new URL(url);
  const host = hostname.replace(/^\[(.*)\]$/, "$1");
  const dialled = Number(port) || (protocol === "https:" ? 443 : 80);
  const addresses = await resolve(resolver, host, tenant);
  const isUsable = (address: string) =>
    isAllowedAddress(address, allowedNetworks) && !isOwnPort(ownPorts, address, dialled);
  if (addresses.length === 0 || addresses.some(isUsable)) return;
  throw new Problem(
    "address_not_allowed",
    `url: ${host} is at ${addresses.join(", ")}, which is not on the public internet and not in ALLOWED_NETWORKS`,
    { errors: [{ field: "url", message: "deliveries to its address are not allowed" }] },
  );
}

const resolve = (resolver: NameResolver, host: string, tenant: string): Promise<readonly string[]> =>
  new Promise((resolve) => {
    resolver.lookUp({ host, tenant, timeoutMs: LOOKUP_TIMEOUT_MS }, (result) =>
      resolve(result.kind === "found" ? result.addresses : []),
    );
  });
