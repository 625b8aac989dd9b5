import { z } from "zod";
import { dnsServers, duration, networks, ports, retrySchedule } from "./fields.ts";

/** Variables of the delivery policy, which ingest validates and shows and the worker applies. */
export const deliveryVariables = {
  RETRY_SCHEDULE: retrySchedule,
  DELIVERY_TIMEOUT: duration("10s", "50ms", "5m"),
  ALLOWED_NETWORKS: networks,
  OWN_PORTS: ports,
  DNS_SERVERS: dnsServers,
};

const deliverySchema = z.object(deliveryVariables);

export const deliverySettings = (env: z.output<typeof deliverySchema>) => ({
  retrySchedule: env.RETRY_SCHEDULE,
  deliveryTimeoutMs: env.DELIVERY_TIMEOUT,
  allowedNetworks: env.ALLOWED_NETWORKS,
  ownPorts: env.OWN_PORTS,
  dnsServers: env.DNS_SERVERS,
});
