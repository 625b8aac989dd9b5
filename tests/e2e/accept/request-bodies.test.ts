import { once } from "node:events";
import { type ClientRequest, type IncomingMessage, request } from "node:http";
import { gzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { newTenant } from "@postrider/testkit/factories/events.ts";
import { useStack } from "@postrider/testkit/vitest.ts";

const e2e = useStack({ workers: 0 });

const DATA = '{"big":12345678901234567890,"text":"ünï → 🚚"}';
const bodyFor = (tenant: string) => Buffer.from(`{"type":"order.created","tenant":"${tenant}","data":${DATA}}`);

function open(headers: Record<string, string | number>): ClientRequest {
  const own = { authorization: `Bearer ${e2e.api.key}`, "content-type": "application/json" };
  return request(`${e2e.api.baseUrl}/v1/events`, { method: "POST", headers: { ...own, ...headers } });
}

async function statusOf(sent: ClientRequest): Promise<number | undefined> {
  const [answer] = (await once(sent, "response")) as [IncomingMessage];
  answer.resume();
  return answer.statusCode;
}

/** The data of all that a tenant's callers were able to post, as it is stored. */
async function stored(tenant: string): Promise<string[]> {
  const { data } = await e2e.api.events({ tenant });
  const texts = data.map(async ({ id }) => {
    const answer = await fetch(`${e2e.api.baseUrl}/v1/events/${id}`, {
      headers: { authorization: `Bearer ${e2e.api.key}` },
    });
    return (await answer.text()).split('"data":')[1]!;
  });
  return Promise.all(texts);
}

test.concurrent("a body that arrives in pieces, split inside a character, is stored unchanged", async () => {
  const tenant = newTenant();
  const body = bodyFor(tenant);
  const sent = open({ "content-length": body.length });
  sent.setNoDelay(true);
  // Listened for from the start: ingest answers once it has the announced length, which may be before `end()`.
  const status = statusOf(sent);
  const middle = body.indexOf("🚚") + 2;
  for (const piece of [body.subarray(0, 1), body.subarray(1, middle), body.subarray(middle)]) {
    await new Promise((resolve) => sent.write(piece, resolve));
    // A turn of the event loop, so that ingest has read it.
    await e2e.api.call("GET", "/healthz");
  }
  sent.end();
  expect(await status).toBe(202);
  expect(await stored(tenant)).toEqual([`${DATA}}`]);
});

test.concurrent("a chunked body and a compressed body are stored unchanged", async () => {
  const tenant = newTenant();
  const chunked = open({ "transfer-encoding": "chunked" });
  chunked.write(bodyFor(tenant).subarray(0, 20));
  chunked.end(bodyFor(tenant).subarray(20));
  expect(await statusOf(chunked)).toBe(202);
  const zipped = gzipSync(bodyFor(tenant));
  const compressed = open({ "content-encoding": "gzip", "content-length": zipped.length });
  compressed.end(zipped);
  expect(await statusOf(compressed)).toBe(202);
  expect(await stored(tenant)).toEqual([`${DATA}}`, `${DATA}}`]);
});

test.concurrent.each([
  ["application/json", 202],
  ["Application/JSON ; charset=utf-8", 202],
  ["application/json-seq", 415],
  ["text/plain", 415],
  ["", 415],
])("a request with the media type %j is answered %i", async (type, status) => {
  const body = bodyFor(newTenant());
  const sent = open({ "content-type": type, "content-length": body.length });
  sent.end(body);
  expect(await statusOf(sent)).toBe(status);
});

test.concurrent.each([
  ["announces its length", "content-length"],
  ["does not announce its length", "transfer-encoding"],
])("a body that is too large is answered 413, although its caller %s", async (_, header) => {
  const body = Buffer.from(`{"type":"a","data":"${"x".repeat(300 * 1024)}"}`);
  const sent = open({ [header]: header === "content-length" ? body.length : "chunked" });
  sent.end(body);
  expect(await statusOf(sent)).toBe(413);
});

test.concurrent("a caller that hangs up in the middle of the body stores nothing, and other callers are served", async () => {
  const tenant = newTenant();
  const body = bodyFor(tenant);
  const cut = open({ "content-length": body.length });
  cut.on("error", () => undefined);
  await new Promise((resolve) => cut.write(body.subarray(0, 30), resolve));
  await e2e.api.call("GET", "/healthz");
  const closed = new Promise((resolve) => cut.once("close", resolve));
  cut.destroy();
  await closed;
  const whole = open({ "content-length": body.length });
  whole.end(body);
  expect(await statusOf(whole)).toBe(202);
  expect(await stored(tenant)).toHaveLength(1);
});
