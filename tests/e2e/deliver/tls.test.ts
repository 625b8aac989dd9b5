import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { newTenant } from "@postrider/testkit/factories/events.ts";
import { useStack } from "@postrider/testkit/vitest.ts";

const folder = join(import.meta.dirname, "../../../packages/testkit/src/receiver/tls");
const e2e = useStack({ env: { NODE_EXTRA_CA_CERTS: join(folder, "trusted.cert.pem"), RETRY_SCHEDULE: "100ms" } });

const servers: Server[] = [];
afterAll(() => servers.forEach((server) => server.close().closeAllConnections()));

/** @returns the port of a receiver on both loopback addresses, and how many requests it has had */
async function receiverWith(certificate: "trusted" | "untrusted") {
  const counted = { port: 0, requests: 0 };
  const [key, cert] = ["key", "cert"].map((part) => readFileSync(join(folder, `${certificate}.${part}.pem`)));
  const server = createServer({ key: key!, cert: cert! }, (request, response) => {
    counted.requests += 1;
    request.resume().once("end", () => response.end("ok"));
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  counted.port = (server.address() as AddressInfo).port;
  return counted;
}

async function deliverTo(url: string, status: "delivered" | "dead") {
  const tenant = newTenant();
  await e2e.api.subscribe({ tenant, url });
  const { id } = await e2e.api.send({ type: "order.created", data: 1, tenant });
  return e2e.api.untilDelivery(id, status);
}

test.concurrent("an event is delivered over TLS to a receiver whose certificate is trusted", async () => {
  const receiver = await receiverWith("trusted");
  await deliverTo(`https://localhost:${receiver.port}/hook`, "delivered");
  expect(receiver.requests).toBe(1);
});

test.concurrent("nothing is sent to a receiver with an untrusted certificate, and the dead letter shows why", async () => {
  const receiver = await receiverWith("untrusted");
  const dead = await deliverTo(`https://localhost:${receiver.port}/hook`, "dead");
  expect(dead).toMatchObject({
    deadReason: "exhausted",
    lastError: "the certificate is self-signed (DEPTH_ZERO_SELF_SIGNED_CERT)",
  });
  expect(receiver.requests).toBe(0);
});

test.concurrent("nothing is sent to a receiver whose certificate is for another name", async () => {
  const receiver = await receiverWith("trusted");
  const dead = await deliverTo(`https://127.0.0.1:${receiver.port}/hook`, "dead");
  expect(dead.lastError).toBe("the certificate is for another host name (ERR_TLS_CERT_ALTNAME_INVALID)");
  expect(receiver.requests).toBe(0);
});
