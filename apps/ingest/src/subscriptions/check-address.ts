import type { Response } from "express";
import { portOf } from "@postrider/shared/core/allowed-ports.ts";
import type { NameResolver } from "@postrider/shared/runtime/dns/name-resolver.ts";
import { mayConnect } from "@postrider/shared/runtime/own-ports.ts";
import type { Context } from "../context.ts";
import { Problem } from "../http/problem.ts";
import { requestLog } from "../http/request-id.ts";

const LOOKUP_TIMEOUT_MS = 2_000;

/**
 * Refuses a subscription's URL with a port that deliveries may not use, or whose host is, or resolves only to, addresses
 * that they may not reach. It is early advice for the caller: the worker checks what it connects to. A name that does not
 * resolve yet is accepted. The addresses are only logged, because a tenant must not learn those of an internal network.
 *
 * @throws Problem address_not_allowed
 */
export async function checkAddress(
  { resolver, settings, log }: Pick<Context, "resolver" | "settings" | "log">,
  response: Response,
  { url, tenant }: { url: string; tenant: string },
): Promise<void> {
  const parsed = new URL(url);
  const port = portOf(parsed);
  if (!settings.addressRules.ports.has(port)) throw notAllowed(`deliveries may not use port ${port}`);
  const host = parsed.hostname.replace(/^\[(.*)\]$/, "$1");
  const addresses = await resolve(resolver, host, tenant);
  if (addresses.length === 0 || addresses.some((address) => mayConnect(settings, address, port))) return;
  requestLog(log, response).info({ tenant, host, addresses }, "refused a subscription: its address is not allowed");
  throw notAllowed("deliveries may not reach the address of its host");
}

const notAllowed = (message: string) =>
  new Problem("address_not_allowed", `url: ${message}`, { errors: [{ field: "url", message }] });

const resolve = (resolver: NameResolver, host: string, tenant: string): Promise<readonly string[]> =>
  new Promise((resolve) => {
    resolver.lookUp({ host, tenant, timeoutMs: LOOKUP_TIMEOUT_MS }, (result) =>
      resolve(result.kind === "found" ? result.addresses : []),
    );
  });
