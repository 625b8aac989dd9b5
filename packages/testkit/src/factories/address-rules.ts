import type { AddressRules } from "@postrider/shared/core/address-rules.ts";
import { parsePorts } from "@postrider/shared/core/allowed-ports.ts";
import { parseNetworks } from "@postrider/shared/core/networks.ts";

/** The rules that these settings stand for. */
export function addressRules({ allowed = "", denied = "", ports = "80,443,1024-65535" } = {}): AddressRules {
  return {
    allowed: valid(parseNetworks(allowed)),
    denied: valid(parseNetworks(denied)),
    ports: valid(parsePorts(ports)),
  };
}

function valid<Parsed extends object>(parsed: Parsed | { problem: string }): Parsed {
  if ("problem" in parsed) throw new Error(parsed.problem);
  return parsed;
}
