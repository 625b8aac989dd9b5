import type { BlockList } from "node:net";
import { isAllowedAddress } from "@postrider/shared/core/address-rules.ts";
import type { NameResolver } from "@postrider/shared/runtime/dns/name-resolver.ts";
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
  allowed: BlockList,
): Promise<void> {
  const host = new URL(url).hostname.replace(/^\[(.*)\]$/, "$1");
  const addresses = await resolve(resolver, host, tenant);
  if (addresses.length === 0 || addresses.some((address) => isAllowedAddress(address, allowed))) return;
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
