import { once } from "node:events";
import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from "node:zlib";
import { afterAll, describe, expect, test } from "vitest";
import { addressRules } from "@postrider/testkit/factories/address-rules.ts";
import { createDeliveryAgent } from "./delivery-agent.ts";
import { send } from "./send.ts";

const loopback = addressRules({ allowed: "127.0.0.0/8" });
const resolver: Parameters<typeof createDeliveryAgent>[2] = {
  lookUp({ host }, onResult) {
    onResult({ kind: "found", addresses: [host], ttlMs: 0 });
    return () => undefined;
  },
};
const agent = createDeliveryAgent(loopback, 30_000, resolver, () => undefined);
const servers: Server[] = [];
afterAll(async () => {
  await agent.destroy();
  for (const server of servers) server.close();
});

const BODY = Buffer.from("{}");

/** @param respond called when a request has arrived */
async function receiver(respond: (socket: Socket) => void): Promise<{ url: URL; connections: Socket[] }> {
  const connections: Socket[] = [];
  const server = createServer((socket) => {
    connections.push(socket);
    // A request may come in two pieces, of which the body ends the last one.
    socket.on("error", () => undefined).on("data", (piece) => piece.subarray(-2).equals(BODY) && respond(socket));
  });
  servers.push(server.listen(0, "127.0.0.1"));
  await once(server, "listening");
  return { url: new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`), connections };
}

const post = (url: URL, timeoutMs = 30_000) =>
  send(agent, { tenant: "default", url, headers: {}, body: BODY, timeoutMs });

async function answerTo(response: (string | Buffer)[], { timeoutMs = 30_000, hangUp = false } = {}) {
  const { url } = await receiver((socket) => {
    for (const part of response) socket.write(part);
    if (hangUp) socket.end();
  });
  return post(url, timeoutMs);
}

const head = (status: string, ...fields: string[]) => `HTTP/1.1 ${status}\r\n${fields.join("\r\n")}\r\n\r\n`;
const sized = (status: string, body: string | Buffer, ...fields: string[]) => [
  head(status, `content-length: ${Buffer.byteLength(body)}`, ...fields),
  body,
];
const ENCODINGS = ["gzip", "x-gzip", "deflate", "br"];

describe("the status decides, whatever the body is", () => {
  test.each([...ENCODINGS, "zstd", "compress"])("a plain body labelled %s", async (encoding) => {
    const exchange = await answerTo(sized("200 OK", "fine", `content-encoding: ${encoding}`));
    expect(exchange).toMatchObject(
      ENCODINGS.includes(encoding)
        ? {
            responseStatus: 200,
            errorCode: "body",
            error: `the response body is incomplete: it is not valid ${encoding}`,
          }
        : { responseStatus: 200, errorCode: null, responseBody: "fine" },
    );
  });

  test.each(ENCODINGS)("an empty response labelled %s, which has nothing to decode", async (encoding) => {
    const field = `content-encoding: ${encoding}`;
    const complete = { errorCode: null, error: null, responseBody: "" };
    expect(await answerTo([head("204 No Content", field)])).toMatchObject({ responseStatus: 204, ...complete });
    expect(await answerTo(sized("200 OK", "", field))).toMatchObject({ responseStatus: 200, ...complete });
    const chunked = [head("200 OK", "transfer-encoding: chunked", field), "0\r\n\r\n"];
    expect(await answerTo(chunked)).toMatchObject({ responseStatus: 200, ...complete });
  });

  test.each([
    ["gzip", gzipSync("fine")],
    ["deflate", deflateSync("fine")],
    ["br", brotliCompressSync("fine")],
  ])("%s that is well is decoded, and cut off it is not a failure", async (encoding, body) => {
    const field = `content-encoding: ${encoding}`;
    expect(await answerTo(sized("200 OK", body, field))).toMatchObject({ errorCode: null, responseBody: "fine" });
    const cut = await answerTo(sized("200 OK", body.subarray(0, -3), field));
    expect(cut).toMatchObject({ responseStatus: 200, errorCode: "body" });
  });

  test("zstd is kept as it is", async () => {
    const exchange = await answerTo(sized("200 OK", zstdCompressSync("fine"), "content-encoding: zstd"));
    expect(exchange).toMatchObject({ responseStatus: 200, errorCode: null });
  });

  test.each<[string, string[], RegExp]>([
    ["is cut off", [head("200 OK", "content-length: 100"), "fine"], /UND_ERR_SOCKET/],
    ["is cut off in a chunk", [head("200 OK", "transfer-encoding: chunked"), "a\r\nfine"], /UND_ERR_SOCKET/],
    [
      "has garbage for a chunk",
      [head("200 OK", "transfer-encoding: chunked"), "4\r\nfine\r\n<html>"],
      /not valid HTTP \(HPE_INVALID\)/,
    ],
  ])("a body that %s", async (_name, response, reason) => {
    const exchange = await answerTo(response, { hangUp: true });
    expect(exchange).toMatchObject({ responseStatus: 200, errorCode: "body", error: expect.stringMatching(reason) });
    expect(exchange.error).toMatch(/^the response body is incomplete: /);
  });

  test("a body that does not end is left at the deadline, and its connection is closed", async () => {
    const { url, connections } = await receiver((socket) => socket.write(head("200 OK", "content-length: 9") + "fine"));
    const exchange = await post(url, 300);
    expect(exchange).toMatchObject({ responseStatus: 200, responseBody: "fine", errorCode: "body" });
    expect(exchange.error).toBe("the response body is incomplete: no complete response within 300 ms");
    const [connection] = connections;
    if (!connection!.destroyed) await once(connection!, "close");
  });

  test("of other statuses, too", async () => {
    const fields = ["content-encoding: gzip", "retry-after: 7"];
    for (const status of ["410 Gone", "429 Too Many Requests", "500 Oops"]) {
      const exchange = await answerTo(sized(status, "no gzip", ...fields));
      expect(exchange).toMatchObject({
        responseStatus: Number(status.slice(0, 3)),
        retryAfter: "7",
        errorCode: "body",
      });
    }
  });

  test("without a status there is a failure", async () => {
    expect(await answerTo([], { hangUp: true })).toMatchObject({ responseStatus: null, errorCode: "reset" });
    expect(await answerTo(["HTTP/1.1 "], { timeoutMs: 300 })).toMatchObject({
      responseStatus: null,
      errorCode: "timeout",
    });
    expect(await answerTo(["SSH-2.0\r\n"])).toMatchObject({ responseStatus: null, errorCode: "http" });
  });
});

describe("interim responses are ignored", () => {
  const CONTINUE = head("100 Continue");
  const PROCESSING = head("102 Processing");
  const HINTS = head("103 Early Hints", "link: </style.css>; rel=preload", "content-encoding: gzip");
  const FINAL = sized("200 OK", "fine").join("");
  test.each<[string, string[]]>([
    ["a 100", [CONTINUE, FINAL]],
    ["a 100 in the same packet", [CONTINUE + FINAL]],
    ["a 100 with fields", [head("100 Continue", "date: now", "x-a: b"), FINAL]],
    ["a 102", [PROCESSING, FINAL]],
    ["a 103", [HINTS, FINAL]],
    ["an unknown one", [head("199 Unknown"), FINAL]],
    ["several in a row", [CONTINUE, CONTINUE + HINTS, PROCESSING, HINTS, CONTINUE + FINAL]],
    ["several, byte by byte", (CONTINUE + HINTS + CONTINUE + FINAL).split("")],
  ])("%s", async (_name, response) => {
    const { url, connections } = await receiver((socket) => {
      socket.setNoDelay(true);
      for (const part of response) socket.write(part);
    });
    for (let request = 0; request < 5; request += 1) {
      expect(await post(url)).toMatchObject({ responseStatus: 200, responseBody: "fine", error: null });
    }
    // Connections are used again. A request that follows at once may need a second one.
    expect(connections.length).toBeLessThanOrEqual(2);
  });

  test("a 100 with nothing after it is a timeout", async () => {
    const exchange = await answerTo([CONTINUE], { timeoutMs: 300 });
    expect(exchange).toMatchObject({ responseStatus: null, errorCode: "timeout" });
  });

  test("a 101, which ends HTTP, is a failure that says so", async () => {
    const exchange = await answerTo([head("101 Switching Protocols", "connection: upgrade", "upgrade: websocket")]);
    expect(exchange).toMatchObject({ responseStatus: null, error: expect.stringContaining("switched protocols") });
  });
});
