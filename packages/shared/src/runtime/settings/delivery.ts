import { z } from "zod";
import { allowedPorts, dnsServers, duration, encryptionKeys, networks, ports, retrySchedule } from "./fields.ts";

/** Variables of deliveries: ingest seals secrets, validates and shows the policy; the worker opens and applies them. */
export const deliveryVariables = {
  ENCRYPTION_KEY: encryptionKeys,
  RETRY_SCHEDULE: retrySchedule,
  DELIVERY_TIMEOUT: duration("15s", "50ms", "5m"),
  ALLOWED_NETWORKS: networks,
  DENIED_NETWORKS: networks,
  ALLOWED_PORTS: allowedPorts("80,443,1024-65535"),
  OWN_PORTS: ports,
  DNS_SERVERS: dnsServers,
};

const deliverySchema = z.object(deliveryVariables);

export type DeliverySettings = ReturnType<typeof deliverySettings>;

export const deliverySettings = (env: z.output<typeof deliverySchema>) => ({
  encryptionKeys: env.ENCRYPTION_KEY,
  retrySchedule: env.RETRY_SCHEDULE,
  deliveryTimeoutMs: env.DELIVERY_TIMEOUT,
  addressRules: { allowed: env.ALLOWED_NETWORKS, denied: env.DENIED_NETWORKS, ports: env.ALLOWED_PORTS },
  ownPorts: env.OWN_PORTS,
  dnsServers: env.DNS_SERVERS,
});
