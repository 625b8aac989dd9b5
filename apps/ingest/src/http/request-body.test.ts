import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { connect, type AddressInfo, type Socket } from "node:net";
import express from "express";
import { afterEach, expect, test } from "vitest";
import { waitFor } from "@postrider/testkit/wait.ts";
import { BodyMemory } from "./body-memory.ts";
import { OPERATOR } from "./caller.ts";
import { createBodyReader } from "./request-body.ts";
import { localsOf } from "./request-locals.ts";

const opened: (Server | Socket)[] = [];
afterEach(() => {
  for (const one of opened.splice(0)) {
    if ("destroy" in one) one.destroy();
    else one.close();
  }
});

test("a client that takes no response holds no memory for its body, and loses its connection", async () => {
  const memory = new BodyMemory(64 * 1024 * 1024);
  const app = express();
  const during: number[] = [];
  app.post(
    "/",
    (_request, response, next) => {
      localsOf(response).caller = OPERATOR;
      next();
    },
    createBodyReader(memory, 300)(1024),
    (_request, response) => {
      during.push(memory.held);
      response.send(Buffer.alloc(64 * 1024 * 1024));
      during.push(memory.held);
    },
  );
  const server = createServer(app).listen(0, "127.0.0.1");
  await once(server, "listening");
  const closed = new Promise((resolve) => server.once("connection", (socket) => socket.once("close", resolve)));
  const client = connect((server.address() as AddressInfo).port, "127.0.0.1").on("error", () => undefined);
  opened.push(client, server);
  client.pause();
  client.write("POST / HTTP/1.1\r\nhost: api\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}");
  await waitFor("it is answered", () => during.length === 2);
  expect(during).toEqual([2, 0]);
  await closed;
});
