import { once } from "node:events";
import { connect } from "node:net";
import { expect, test } from "vitest";
import { closeServer, createPublicServer, listen } from "./listen.ts";

const SIZE = 8 * 1024 * 1024;
const settings = { keepAliveTimeoutMs: 75_000, headersTimeoutMs: 80_000 };

test("a closing server finishes a response that a slow client still reads, and ends its kept connection", async () => {
  let closing: Promise<void> | undefined;
  const server = createPublicServer(settings, (_request, response) => {
    // The headers promise to keep the connection.
    response.writeHead(200, { "content-length": SIZE }).flushHeaders();
    closing = closeServer(server, 30_000);
    response.end(Buffer.alloc(SIZE));
  });
  const port = await listen(server, "127.0.0.1", [0]);
  const client = connect(port, "127.0.0.1");
  client.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  await once(client, "readable");
  // Longer than a look at idle connections takes.
  await new Promise((resolve) => setTimeout(resolve, 300));
  let received = 0;
  for await (const chunk of client) received += (chunk as Buffer).length;
  expect(received).toBeGreaterThan(SIZE);
  await closing;
});

test("responses that wait behind another one are closed when their client leaves", async () => {
  const closed: string[] = [];
  const began = Promise.withResolvers<void>();
  const server = createPublicServer(settings, (request, response) => {
    response.once("close", () => closed.push(request.url!));
    if (request.url === "/3") began.resolve();
  });
  const port = await listen(server, "127.0.0.1", [0]);
  const client = connect(port, "127.0.0.1");
  client.write(["/1", "/2", "/3"].map((path) => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`).join(""));
  await began.promise;
  client.destroy();
  await expect.poll(() => closed.sort(), { timeout: 20_000 }).toEqual(["/1", "/2", "/3"]);
  await closeServer(server, 0);
});
