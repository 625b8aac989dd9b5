import { expect, test } from "vitest";
import { useSharedStack } from "@postrider/testkit/vitest.ts";
import { codeOf, Connection, statusOf } from "./connection.ts";

const e2e = useSharedStack();

const CHUNKED = "POST /v1/events HTTP/1.1\r\nhost: api\r\nauthorization: KEY\r\ntransfer-encoding: chunked\r\n\r\n";

// Node's own answers to these had no body, and so no code and no request id.
test.concurrent.each<[string, string, number, string]>([
  ["a request line that is none", "NONSENSE\r\n\r\n", 400, "invalid_http"],
  ["a space before a header's colon", "GET /v1/events HTTP/1.1\r\nhost : api\r\n\r\n", 400, "invalid_http"],
  ["two lengths", "POST /v1/events HTTP/1.1\r\nhost: api\r\ncontent-length: 1, 2\r\n\r\n", 400, "invalid_http"],
  ["a chunk without a size", CHUNKED + "zz\r\n", 400, "invalid_http"],
  ["a chunk with a large extension", `${CHUNKED}1;${"x".repeat(20_000)}\r\n`, 413, "payload_too_large"],
  [
    "large headers",
    `GET /v1/events HTTP/1.1\r\nhost: api\r\nx: ${"a".repeat(20_000)}\r\n\r\n`,
    431,
    "headers_too_large",
  ],
  ["no host", "GET /healthz HTTP/1.1\r\nconnection: close\r\n\r\n", 400, "invalid_http"],
  [
    "an unknown expectation",
    "GET /healthz HTTP/1.1\r\nhost: api\r\nexpect: a reply\r\nconnection: close\r\n\r\n",
    417,
    "expectation_failed",
  ],
])("a request with %s is answered by a problem", async (_, request, status, code) => {
  const connection = new Connection(e2e.api.baseUrl);
  connection.socket.write(request.replace("KEY", `Bearer ${e2e.api.key}\r\ncontent-type: application/json`));
  const answer = await connection.untilClosed();
  connection.close();
  expect([statusOf(answer), codeOf(answer)]).toEqual([status, code]);
  const [head = "", body = ""] = answer.split("\r\n\r\n");
  expect(head).toMatch(/^content-type: application\/problem\+json/im);
  expect(head.toLowerCase()).toContain(`x-request-id: ${(JSON.parse(body) as { requestId: string }).requestId}`);
});

test("a client that does not close after such an answer is disconnected", async () => {
  const connection = new Connection(e2e.api.baseUrl);
  connection.socket.write("NONSENSE\r\n\r\n");
  await connection.untilClosed();
  // A closed connection shows only by the reset that follows on what the client sends.
  const isDisconnected = () => !connection.socket.write("more") || connection.socket.destroyed;
  await expect.poll(isDisconnected).toBe(true);
});
