import { onTestFinished } from "vitest";
import { addressRules } from "@postrider/testkit/factories/address-rules.ts";
import type { LookupResult } from "@postrider/shared/runtime/dns/lookup-result.ts";
import { NameResolver } from "@postrider/shared/runtime/dns/name-resolver.ts";
import { createLogger } from "@postrider/shared/runtime/telemetry/logger.ts";
import { createRegistry } from "@postrider/shared/runtime/telemetry/metrics.ts";
import { type DnsServer, startDnsServer, type Zone } from "@postrider/testkit/servers/dns.ts";

/** A resolver, and the DNS servers that it asks. */
export interface RunningResolver {
  dns: DnsServer;
  resolver: NameResolver;
  lookUp: (host: string, over?: { tenant?: string; timeoutMs?: number }) => Promise<LookupResult>;
  /** The log lines so far. */
  lines: string[];
  /** The metric `postrider_lookups`. */
  count: () => Promise<{ underWay: number; waiting: number }>;
}

/** Addresses for documentation stand for those of the internet. */
const RULES = addressRules({ allowed: "192.0.2.0/24, 2001:db8::/32" });

interface Options {
  zones?: Record<string, Zone>;
  /** Further servers; by default there is one. */
  others?: readonly string[];
  hostsFile?: string;
}

/** Until the end of the test. */
export async function runResolver({ zones = {}, others = [], hostsFile }: Options = {}): Promise<RunningResolver> {
  const dns = await startDnsServer(zones);
  const lines: string[] = [];
  const registry = createRegistry("worker");
  const resolver = new NameResolver({
    servers: [dns.address, ...others],
    rules: RULES,
    ...(hostsFile === undefined ? {} : { hostsFile }),
    log: createLogger("worker", "info", { write: (line) => void lines.push(line) }),
    registry,
  });
  onTestFinished(async () => {
    resolver.close();
    await dns.close();
  });
  return {
    dns,
    resolver,
    lines,
    lookUp: (host, { tenant = "default", timeoutMs = 60_000 } = {}) =>
      new Promise((resolve) => resolver.lookUp({ host, tenant, timeoutMs }, resolve)),
    async count() {
      const values = (await registry.getSingleMetric("postrider_lookups")!.get()).values;
      const of = (state: string) => values.find(({ labels }) => labels["state"] === state)?.value ?? 0;
      return { underWay: of("under_way"), waiting: of("waiting") };
    },
  };
}

export const addressesOf = (result: LookupResult): unknown =>
  result.kind === "found" ? result.addresses.toSorted() : result;
