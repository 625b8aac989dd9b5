import { gzipSync } from "node:zlib";
import { afterAll, expect, test } from "vitest";
import { newTenant } from "@postrider/testkit/factories/events.ts";
import { readResidentMemory } from "@postrider/testkit/processes/resident-memory.ts";
import { scrape, total } from "@postrider/testkit/stack/metrics.ts";
import { useStack } from "@postrider/testkit/vitest.ts";
import { waitFor } from "@postrider/testkit/wait.ts";
import { addTenantKey } from "../tenant-key.ts";
import { codeOf, Connection, statusOf, type Headers } from "./connection.ts";

const MIB = 1024 * 1024;
const KIB = 1024;
const e2e = useStack({ workers: 0, env: { BODY_TIMEOUT: "5m", BODY_MEMORY_MIB: "64" } });

const opened: Connection[] = [];
afterAll(() => {
  for (const connection of opened) connection.close();
});

/** Posts a batch of 10 MiB, except for its last byte. */
function withhold(key: string, headers: Headers = { "content-length": 10 * MIB }): Connection {
  const connection = new Connection(e2e.api.baseUrl);
  opened.push(connection);
  connection.head("POST", "/v1/events/batch", { authorization: `Bearer ${key}`, ...headers });
  return connection;
}

/** @param count events of 200 KiB */
async function postBatch(key: string, count = 20): Promise<number> {
  const events = Array.from({ length: count }, () => ({ type: "order.created", data: "x".repeat(200 * KIB) }));
  return (await e2e.api.call("POST", "/v1/events/batch", { body: { events }, key })).status;
}

const residentMib = () => readResidentMemory(e2e.stack.ingest.pid)! / MIB;

const heldMib = async () => total(await scrape(e2e.stack.ingest.adminUrl), "postrider_request_body_bytes") / MIB;

test("many large bodies whose last bytes are missing take bounded memory, and leave some for another caller", async () => {
  const before = residentMib();
  const connections = Array.from({ length: 150 }, () => withhold(e2e.api.key));
  const body = Buffer.alloc(10 * MIB - 1, "x");
  for (const { socket } of connections) socket.write(body);
  const answered = () => connections.filter(({ received }) => received !== "");
  // Half of the memory has room for three.
  await waitFor("all but three are refused", () => answered().length === 147);
  for (const { received } of answered()) {
    expect([statusOf(received), codeOf(received)]).toEqual([503, "overloaded"]);
    expect(received).toMatch(/^retry-after: \d+\r$/im);
  }
  await waitFor("three are held", async () => (await heldMib()) > 29);
  expect(await heldMib()).toBeLessThan(33);
  expect(residentMib() - before).toBeLessThan(300);

  expect(await postBatch(await addTenantKey(e2e.stack.databaseUrl, newTenant()), 40)).toBe(202);

  for (const { socket } of connections) socket.destroy();
  await waitFor("none is held", async () => (await heldMib()) === 0);
});

test("callers that announce bodies and send nothing take no memory from another one", async () => {
  const keys = await Promise.all([1, 2, 3].map(() => addTenantKey(e2e.stack.databaseUrl, newTenant())));
  const connections = keys.flatMap((key) => Array.from({ length: 4 }, () => withhold(key)));
  // What cannot fit into its caller's half is refused at once, and the others wait for their bodies.
  await waitFor("each caller's fourth is refused", () => {
    const refused = connections.filter(({ received }) => received !== "");
    return refused.length === keys.length && refused.every(({ received }) => statusOf(received) === 503);
  });
  expect(await heldMib()).toBe(0);
  expect(await postBatch(await addTenantKey(e2e.stack.databaseUrl, newTenant()))).toBe(202);
  for (const { socket } of connections) socket.destroy();
});

test("two callers that send all they may leave some for a third", async () => {
  const keys = await Promise.all([1, 2].map(() => addTenantKey(e2e.stack.databaseUrl, newTenant())));
  const connections = keys.flatMap((key) => Array.from({ length: 6 }, () => withhold(key)));
  for (const { socket } of connections) socket.write(Buffer.alloc(10 * MIB - 1, "x"));
  await waitFor("the first one's half is held, and part of the other's", async () => (await heldMib()) > 29);
  expect(await heldMib()).toBeLessThanOrEqual(48);
  expect(await postBatch(await addTenantKey(e2e.stack.databaseUrl, newTenant()))).toBe(202);
  for (const { socket } of connections) socket.destroy();
  await waitFor("none is held", async () => (await heldMib()) === 0);
});

test("a decoder's state and window count", async () => {
  const body = gzipSync(Buffer.alloc(2 * MIB, "x"));
  const connection = withhold(e2e.api.key, { "content-length": body.length, "content-encoding": "gzip" });
  connection.socket.write(body.subarray(0, -1));
  // 2.5 MiB of the buffer, two of the window and half a one of the decoder.
  await waitFor("they are held", async () => (await heldMib()) >= 4);
  connection.socket.destroy();
  await waitFor("none is held", async () => (await heldMib()) === 0);
});

test("bodies of unknown length count as they arrive, and chunks of one byte take no more", async () => {
  const before = residentMib();
  const connections = Array.from({ length: 3 }, () => withhold(e2e.api.key, { "transfer-encoding": "chunked" }));
  const chunks = Buffer.from("1\r\nx\r\n".repeat(8 * 1024));
  for (let sent = 0; sent < 2 * MIB; sent += 8 * 1024) {
    await Promise.all(connections.map(({ socket }) => new Promise((resolve) => socket.write(chunks, resolve))));
  }
  await waitFor("their buffers are held", async () => (await heldMib()) >= 6);
  expect(await heldMib()).toBeLessThan(12);
  expect(residentMib() - before).toBeLessThan(300);
  for (const { socket } of connections) socket.destroy();
  await waitFor("none is held", async () => (await heldMib()) === 0);
});
