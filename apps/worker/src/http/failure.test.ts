import { readFileSync } from "node:fs";
import { once } from "node:events";
import { createServer as createHttpServer } from "node:http";
import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { join } from "node:path";
import tls from "node:tls";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { addressRules } from "@postrider/testkit/factories/address-rules.ts";
import { createDeliveryAgent } from "./delivery-agent.ts";
import { describeFailure } from "./failure.ts";
import { send } from "./send.ts";

const folder = join(import.meta.dirname, "../../../../packages/testkit/src/receiver/tls");
const pem = (name: string) => readFileSync(join(folder, `${name}.pem`), "utf8");
const agent = createDeliveryAgent(
  addressRules({ allowed: "127.0.0.0/8" }),
  30_000,
  {
    lookUp({ host }, onResult) {
      onResult({ kind: "found", addresses: [host.startsWith("1") ? host : "127.0.0.1"], ttlMs: 0 });
      return () => undefined;
    },
  },
  () => undefined,
);
const servers: Server[] = [];
const trusted = tls.getCACertificates("default");
beforeAll(() => tls.setDefaultCACertificates([...trusted, pem("trusted.cert"), pem("expired.cert")]));
afterAll(async () => {
  tls.setDefaultCACertificates(trusted);
  await agent.destroy();
  for (const server of servers) server.close();
});

async function listen(server: Server): Promise<number> {
  servers.push(server.listen(0, "127.0.0.1"));
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

const withTls = (certificate: string, options: tls.TlsOptions = {}) =>
  listen(
    tls
      .createServer(
        { key: pem(`${certificate}.key`), cert: pem(`${certificate}.cert`), ...options },
        (socket) => void socket.on("error", () => undefined).end("HTTP/1.1 204 No Content\r\n\r\n"),
      )
      .on("tlsClientError", () => undefined),
  );

const withSocket = (onRequest: (socket: Socket) => void) =>
  listen(createServer((socket) => void socket.on("error", () => undefined).once("data", () => onRequest(socket))));

const respond = (response: string | Buffer) => withSocket((socket) => socket.end(response));

const post = (url: string) =>
  send(agent, { tenant: "default", url: new URL(url), headers: {}, body: Buffer.from("{}"), timeoutMs: 30_000 });

const sentence = /^[a-z][A-Za-z0-9 ,'-]+ \(([A-Z][A-Z0-9_]+)\)$/;

describe("the error of an attempt is a sentence with a fixed code", () => {
  test.each([
    ["untrusted", "localhost", "the certificate is self-signed", "DEPTH_ZERO_SELF_SIGNED_CERT"],
    ["expired", "localhost", "the certificate has expired", "CERT_HAS_EXPIRED"],
    ["trusted", "127.0.0.1", "the certificate is for another host name", "ERR_TLS_CERT_ALTNAME_INVALID"],
    ["trusted", "shop.example", "the certificate is for another host name", "ERR_TLS_CERT_ALTNAME_INVALID"],
  ])("for a receiver with the %s certificate at https://%s", async (certificate, host, text, code) => {
    const exchange = await post(`https://${host}:${await withTls(certificate)}/`);
    expect(exchange).toMatchObject({ responseStatus: null, errorCode: "tls", error: `${text} (${code})` });
  });

  test("for a receiver without a common version of TLS", async () => {
    const port = await withTls("trusted", {
      minVersion: "TLSv1.1",
      maxVersion: "TLSv1.1",
      ciphers: "DEFAULT@SECLEVEL=0",
    });
    const exchange = await post(`https://localhost:${port}/`);
    expect(exchange).toMatchObject({ errorCode: "tls", error: expect.stringMatching(/^the TLS handshake failed \(/) });
  });

  test("for a receiver without TLS, and one with TLS where none is expected", async () => {
    const plain = await listen(
      createHttpServer().on("clientError", (_, socket) => socket.end("HTTP/1.1 400 Bad\r\n\r\n")),
    );
    const error = expect.stringMatching(/^the receiver does not speak TLS on this port \(ERR_SSL_[A-Z_]+\)$/);
    expect(await post(`https://localhost:${plain}/`)).toMatchObject({ errorCode: "tls", error });
    const secure = await post(`http://localhost:${await withTls("trusted")}/`);
    expect(secure.errorCode).toMatch(/^(http|reset)$/);
    expect(secure.error).toMatch(sentence);
  });

  const BAD = "the response is not valid HTTP (HPE_INVALID)";
  const BAD_LENGTH = "the response body is not as long as its Content-Length (UND_ERR_RES_CONTENT_LENGTH_MISMATCH)";
  const TOO_LARGE = "the response headers are larger than 16 KiB (UND_ERR_HEADERS_OVERFLOW)";
  const CLOSED = "connection closed before the response was complete (UND_ERR_SOCKET)";
  test.each([
    ["another protocol", "SSH-2.0-OpenSSH_9.6\r\n", "http", BAD],
    ["a bad status", "HTTP/1.1 2x0 OK\r\n\r\n", "http", BAD],
    ["a bad header", "HTTP/1.1 200 OK\r\nno header\r\n\r\n", "http", BAD],
    ["two lengths", "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\na", "http", BAD_LENGTH],
    ["64 KiB of headers", `HTTP/1.1 200 OK\r\nx-a: ${"a".repeat(65_536)}\r\n\r\n`, "http", TOO_LARGE],
    ["nothing", "", "reset", CLOSED],
    ["half a head", "HTTP/1.1 200 OK\r\nx-a", "reset", CLOSED],
  ])("for a receiver that answers with %s", async (_, response, errorCode, error) => {
    const exchange = await post(`http://127.0.0.1:${await respond(response)}/`);
    expect(exchange).toMatchObject({ responseStatus: null, errorCode, error });
  });

  test("for a connection that is reset, refused or not allowed, and only the log has its address", async () => {
    const reset = await post(`http://127.0.0.1:${await withSocket((socket) => socket.resetAndDestroy())}/`);
    expect(reset).toMatchObject({ errorCode: "reset", error: expect.stringMatching(sentence) });
    const port = await respond("");
    await new Promise((resolve) => servers.pop()!.close(resolve));
    expect(await post(`http://127.0.0.1:${port}/`)).toMatchObject({
      errorCode: "refused",
      error: "connection refused (ECONNREFUSED)",
      errorDetail: expect.stringContaining(`127.0.0.1:${port}`),
    });
    expect(await post("http://10.9.8.7/")).toMatchObject({
      errorCode: "blocked",
      error: "deliveries may not reach the address of the host",
      errorDetail: expect.stringContaining("10.9.8.7"),
    });
    expect(await post("http://127.0.0.1:6000/")).toMatchObject({
      errorCode: "blocked",
      error: "deliveries may not use the port of the URL",
      errorDetail: expect.stringContaining("6000"),
    });
  });
});

const withCode = (message: string, code: unknown) => Object.assign(new Error(message), { code });

test.each([
  withCode("connect EADDRNOTAVAIL 10.0.0.1:80 - Local (192.168.1.2:3434)", "EADDRNOTAVAIL"),
  withCode(
    "write EPROTO 00E8A0:error:0A000126:SSL routines::unexpected eof:../deps/openssl/ssl/record.c:689:",
    "EPROTO",
  ),
  withCode(
    "0098:error:0A00042E:SSL routines:ssl3_read_bytes:tlsv1 alert:../deps/ssl.c:916:SSL alert 70",
    "ERR_SSL_ALERT",
  ),
  withCode("assert(this.callback !== null)", "ERR_ASSERTION"),
  withCode("at 0x7f3a10.0.0.1", "no code 10.0.0.1"),
  withCode("10.0.0.1", 7),
  new AggregateError([withCode("connect ENETUNREACH 10.0.0.1:443", "ENETUNREACH")], "10.0.0.1"),
  new AggregateError([], "10.0.0.1"),
  new TypeError("10.0.0.1"),
  "10.0.0.1",
  undefined,
])("nothing of an error's message is in its text: %s", (error) => {
  expect(describeFailure(error).text).toMatch(/^[a-z][A-Za-z ]+( \([A-Z][A-Z_]+\))?$/);
});
