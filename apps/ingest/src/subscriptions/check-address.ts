import { lookup } from "node:dns/promises";
import { isIP, type BlockList } from "node:net";
import { isAllowedAddress } from "@postrider/shared/core/address-rules.ts";
import { within } from "@postrider/shared/concurrency/within.ts";
import { Problem } from "../http/problem.ts";

const LOOKUP_TIMEOUT_MS = 2_000;

/**
 * Refuses a subscription's URL whose host is, or resolves only to, addresses that deliveries may not reach. It is early
 * advice for the caller: the worker checks the address it connects to. A name that does not resolve yet is accepted.
 *
 * @throws Problem address_not_allowed
 */
export async function checkAddress(url: string, allowed: BlockList): Promise<void> {
  const host = new URL(url).hostname.replace(/^\[(.*)\]$/, "$1");
  const addresses = isIP(host) ? [host] : await resolve(host);
  if (addresses.length === 0 || addresses.some((address) => isAllowedAddress(address, allowed))) return;
  throw new Problem(
    "address_not_allowed",
    `url: ${host} is at ${addresses.join(", ")}, which is not on the public internet and not in ALLOWED_NETWORKS`,
    { errors: [{ field: "url", message: "deliveries to its address are not allowed" }] },
  );
}

function resolve(host: string): Promise<string[]> {
  const found = lookup(host, { all: true }).then(
    (answers) => answers.map(({ address }) => address),
    () => [],
  );
  return within(LOOKUP_TIMEOUT_MS, found, () => []);
}
