import { z } from "zod";
import { allowedPorts, dnsServers, duration, networks, retrySchedule } from "./fields.ts";

/** Variables of the delivery policy, which ingest validates and shows and the worker applies. */
export const deliveryVariables = {
  RETRY_SCHEDULE: retrySchedule,
  DELIVERY_TIMEOUT: duration("15s", "50ms", "5m"),
  ALLOWED_NETWORKS: networks,
  DENIED_NETWORKS: networks,
  ALLOWED_PORTS: allowedPorts("80,443,1024-65535"),
  DNS_SERVERS: dnsServers,
};

const deliverySchema = z.object(deliveryVariables);

export const deliverySettings = (env: z.output<typeof deliverySchema>) => ({
  retrySchedule: env.RETRY_SCHEDULE,
  deliveryTimeoutMs: env.DELIVERY_TIMEOUT,
  addressRules: { allowed: env.ALLOWED_NETWORKS, denied: env.DENIED_NETWORKS, ports: env.ALLOWED_PORTS },
  dnsServers: env.DNS_SERVERS,
});
