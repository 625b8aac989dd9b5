import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from "node:zlib";
import { afterEach, expect, test } from "vitest";
import { newTenant } from "@postrider/testkit/factories/events.ts";
import { useStack } from "@postrider/testkit/vitest.ts";
import { waitFor } from "@postrider/testkit/wait.ts";
import { codeOf, Connection, statusOf, type Headers } from "./connection.ts";

const MIB = 1024 * 1024;
const e2e = useStack({ workers: 0, env: { BODY_TIMEOUT: "1s" } });

const opened: Connection[] = [];
afterEach(() => {
  for (const connection of opened.splice(0)) connection.close();
});

function open(headers: Headers, path = "/v1/events", method = "POST"): Connection {
  const connection = new Connection(e2e.api.baseUrl);
  opened.push(connection);
  connection.head(method, path, { authorization: `Bearer ${e2e.api.key}`, ...headers });
  return connection;
}

const event = () => `{"type":"order.created","tenant":"${newTenant()}","data":1}`;

test("a body that announces too many bytes is refused before any of them is sent", async () => {
  const answer = await open({ "content-length": 11 * MIB }).untilClosed();
  expect([statusOf(answer), codeOf(answer)]).toEqual([413, "payload_too_large"]);
  expect(answer).toMatch(/^connection: close\r$/im);
});

test("a client that sends all of such a body before it reads gets the answer", async () => {
  const connection = open({ "content-length": 11 * MIB });
  connection.socket.pause();
  await new Promise((resolve) => connection.socket.write(Buffer.alloc(11 * MIB, "x"), resolve));
  connection.socket.resume();
  expect(statusOf(await connection.untilClosed())).toBe(413);
});

test("a client that waits for 100 Continue is not asked for a body that is refused", async () => {
  const refused = await open({ "content-length": 11 * MIB, expect: "100-continue" }).untilClosed();
  expect(statusOf(refused)).toBe(413);
  const body = event();
  const accepted = open({ "content-length": body.length, expect: "100-continue", connection: "close" });
  await waitFor("it is asked", () => accepted.received.startsWith("HTTP/1.1 100 Continue\r\n\r\n"));
  accepted.socket.write(body);
  expect(await accepted.untilClosed()).toMatch(/\r\nHTTP\/1\.1 202 /);
});

const CHUNK = Buffer.from(`10000\r\n${"x".repeat(0x10000)}\r\n`);

test.each([
  ["POST", "/v1/events", 413],
  ["POST", "/v1/events/batch", 413],
  ["GET", "/v1/events", 200],
  ["DELETE", "/v1/subscriptions/sub_00000000000000000000000000", 404],
  ["POST", "/v1/nothing", 404],
])(
  "an endless body to %s %s is answered, and read no further than to end the connection well",
  async (method, path, status) => {
    const connection = open({ "transfer-encoding": "chunked" }, path, method);
    const taken = await connection.pour(CHUNK);
    expect(statusOf(await connection.untilClosed())).toBe(status);
    expect(taken).toBeLessThan(64 * MIB);
  },
);

test("an endless body without a known key is not read either", async () => {
  const connection = open({ "content-length": 1024 * MIB, authorization: "Bearer unknown" });
  expect(await connection.pour(CHUNK)).toBeLessThan(64 * MIB);
  expect(statusOf(await connection.untilClosed())).toBe(401);
});

test("a small body that is refused does not end the connection", async () => {
  const connection = open({ "content-length": 5, authorization: "Bearer unknown" });
  connection.socket.write("12345");
  await waitFor("the first answer", () => statusOf(connection.received) === 401);
  const body = event();
  connection.head("POST", "/v1/events", {
    authorization: `Bearer ${e2e.api.key}`,
    "content-length": body.length,
    connection: "close",
  });
  connection.socket.write(body);
  expect(await connection.untilClosed()).toMatch(/HTTP\/1\.1 202 /);
});

test.each<[string, Headers, string | Buffer]>([
  ["announces its length", { "content-length": 100 }, "{"],
  ["sends chunks", { "transfer-encoding": "chunked" }, "1\r\n{\r\n"],
  ["compresses it", { "content-length": 100, "content-encoding": "gzip" }, gzipSync("{").subarray(0, 12)],
])("a body that does not end in time is answered 408, where its client %s", async (_, headers, start) => {
  const connection = open(headers);
  connection.socket.write(start);
  const answer = await connection.untilClosed();
  expect([statusOf(answer), codeOf(answer)]).toEqual([408, "request_timeout"]);
});

const post = async (encoding: string, body: Buffer) => {
  const answer = await fetch(`${e2e.api.baseUrl}/v1/events`, {
    method: "POST",
    headers: {
      authorization: `Bearer ${e2e.api.key}`,
      "content-type": "application/json",
      "content-encoding": encoding,
    },
    body,
  });
  return [answer.status, ((await answer.json()) as { code?: string }).code];
};

test.each([
  ["gzip", gzipSync],
  ["deflate", deflateSync],
  ["br", brotliCompressSync],
  ["zstd", zstdCompressSync],
] as const)(
  "a body in %s is decoded up to the limit, and refused where it is broken or cut",
  async (encoding, compress) => {
    expect(await post(encoding, compress(event()))).toEqual([202, undefined]);
    const bomb = compress(Buffer.alloc(100 * MIB));
    expect(bomb.length).toBeLessThan(256 * 1024);
    expect(await post(encoding, bomb)).toEqual([413, "payload_too_large"]);
    const whole = compress(event());
    expect(await post(encoding, whole.subarray(0, whole.length - 5))).toEqual([400, "invalid_json"]);
    expect(await post(encoding, Buffer.from(event()))).toEqual([400, "invalid_json"]);
  },
);

const asType = async (type: string, path = "/v1/events", body: string | Buffer = event()) => {
  const answer = await fetch(e2e.api.baseUrl + path, {
    method: "POST",
    headers: { authorization: `Bearer ${e2e.api.key}`, "content-type": type },
    body,
  });
  return [answer.status, ((await answer.json()) as { code?: string }).code];
};

test.each(["utf-8", "UTF-8", "utf8", '"utf-8"', "utf-8 ; profile=x"])(
  "a body with charset=%s is taken",
  async (charset) => {
    expect(await asType(`application/json; charset=${charset}`)).toEqual([202, undefined]);
    expect(await asType(`application/json;a=b;Charset=${charset}`)).toEqual([202, undefined]);
  },
);

test.each(["iso-8859-1", "utf-16", '"utf-16le"', "us-ascii", "utf-8x", '""', "utf-8;charset=latin1"])(
  "a body with charset=%s is answered 415, whatever its bytes are",
  async (charset) => {
    const refusal = [415, "unsupported_media_type"];
    expect(await asType(`application/json; charset=${charset}`)).toEqual(refusal);
    expect(await asType(`Application/JSON ;\tCHARSET=${charset}`, "/v1/subscriptions", "{}")).toEqual(refusal);
  },
);

test("a body that is not UTF-8 is answered 400 by every route that takes one", async () => {
  const body = Buffer.from('{"type":"order.created","data":"\xe9"}', "latin1");
  const { id } = await e2e.api.subscribe({ url: "http://127.0.0.1:9/", tenant: newTenant() });
  for (const path of [
    "events",
    "events/batch",
    "subscriptions",
    `subscriptions/${id}/secret/rotate`,
    `subscriptions/${id}/pause`,
  ]) {
    expect([path, ...(await asType("application/json", `/v1/${path}`, body))]).toEqual([path, 400, "invalid_json"]);
  }
});

test("a body in an unknown encoding is answered 415", async () => {
  expect(await post("compress", Buffer.from(event()))).toEqual([415, "unsupported_media_type"]);
});

test("a call that takes no body may be sent as an empty chunked one without a type", async () => {
  const { id } = await e2e.api.subscribe({ url: "http://127.0.0.1:9/", tenant: newTenant() });
  const pause = async (body: string) => {
    const headers = { "transfer-encoding": "chunked", connection: "close", "content-type": undefined };
    const connection = open(headers, `/v1/subscriptions/${id}/pause`);
    connection.socket.write(body);
    return statusOf(await connection.untilClosed());
  };
  expect(await pause("0\r\n\r\n")).toBe(200);
  expect(await pause("2\r\n{}\r\n0\r\n\r\n")).toBe(415);
});

test("the API answers after all of them", async () => {
  await e2e.api.send({ type: "order.created", data: 1, tenant: newTenant() });
});
