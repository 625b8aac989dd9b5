import { randomBytes, randomUUID } from "node:crypto";
import { connect } from "node:net";
import pg from "pg";
import { expect, test } from "vitest";
import { newTenant } from "@postrider/testkit/factories/events.ts";
import { answer } from "@postrider/testkit/receiver/behaviours.ts";
import type { AppProcess } from "@postrider/testkit/stack/app-process.ts";
import { useStack } from "@postrider/testkit/vitest.ts";
import { waitFor } from "@postrider/testkit/wait.ts";

const e2e = useStack({ console: true, env: { LOG_LEVEL: "trace" } });

type Line = Record<string, unknown>;

const linesOf = (process: AppProcess): Line[] =>
  process
    .output()
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line) as Line);

const untilLine = (process: AppProcess, what: string, isIt: (line: Line) => boolean): Promise<Line> =>
  waitFor(`${process.name} logs ${what}`, async () => linesOf(process).find(isIt));

test("the log links a request id to its events, and an event to its attempts, each in one wide line", async () => {
  const { ingest, workers } = e2e.stack;
  const tenant = newTenant();
  const endpoint = e2e.receiver.endpoint(answer(204));
  const subscription = await e2e.api.subscribe({ tenant, url: `${endpoint.url}?token=t` });
  const requestId = `caller-${randomUUID()}`;
  const { body } = await e2e.api.call<{ id: string }>("POST", "/v1/events", {
    body: { type: "order.created", data: 1, tenant },
    headers: { "x-request-id": requestId },
  });
  expect(await untilLine(ingest, "the request", (line) => line["requestId"] === requestId)).toMatchObject({
    app: "ingest",
    msg: "request",
    method: "POST",
    path: "/v1/events",
    status: 202,
    caller: "operator",
    events: [body.id],
    durationMs: expect.any(Number),
  });
  const delivery = await e2e.api.untilDelivery(body.id, "delivered");
  expect(await untilLine(workers[0]!, "the attempt", (line) => line["event"] === body.id)).toMatchObject({
    app: "worker",
    msg: "attempt",
    delivery: delivery.id,
    attempt: expect.stringMatching(/^att_/),
    subscription: subscription.id,
    tenant,
    type: "order.created",
    host: new URL(endpoint.url).host,
    number: 1,
    trigger: "auto",
    outcome: "delivered",
    next: "delivered",
    status: 204,
    durationMs: expect.any(Number),
  });
});

test("every log line of a request carries its id, and the line of a refusal its code", async () => {
  const { id } = await e2e.api.subscribe({ tenant: newTenant(), url: e2e.receiver.endpoint().url });
  for (const [path, what] of [
    [`/v1/subscriptions/${id}/pause`, "subscription status"],
    [`/v1/subscriptions/${id}/secret/rotate`, "signing secret rotated"],
  ] as const) {
    const requestId = `caller-${randomUUID()}`;
    await e2e.api.call("POST", path, { body: {}, headers: { "x-request-id": requestId } });
    const own = (line: Line) => line["requestId"] === requestId;
    expect(await untilLine(e2e.stack.ingest, what, (line) => own(line) && line["msg"] === what)).toMatchObject({
      subscription: id,
    });
    await untilLine(e2e.stack.ingest, path, (line) => own(line) && line["path"] === path);
  }
  const requestId = `caller-${randomUUID()}`;
  await e2e.api.call("POST", "/v1/events", { body: { type: "" }, headers: { "x-request-id": requestId } });
  expect(await untilLine(e2e.stack.ingest, "a refusal", (line) => line["requestId"] === requestId)).toMatchObject({
    status: 400,
    code: "invalid_request",
  });
});

test("a caller that hangs up while its event is being stored leaves one line for the request and one with the event", async () => {
  const requestId = `caller-${randomUUID()}`;
  const own = (line: Line) => line["requestId"] === requestId;
  const tenant = newTenant();
  const body = JSON.stringify({ type: "order.created", data: 1, tenant });
  const { hostname, port } = new URL(e2e.api.baseUrl);
  const blocking = new pg.Client({ connectionString: e2e.stack.databaseUrl });
  await blocking.connect();
  await blocking.query("begin; lock table events in exclusive mode");
  const socket = connect(Number(port), hostname);
  socket.write(
    `POST /v1/events HTTP/1.1\r\nhost: ${hostname}\r\nauthorization: Bearer ${e2e.api.key}\r\nx-request-id: ${requestId}\r\n` +
      `content-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
  );
  const waits = "select from pg_locks where not granted and relation = 'events'::regclass";
  await waitFor("the event waits to be stored", async () => (await blocking.query(waits)).rowCount === 1);
  socket.destroy();
  expect(await untilLine(e2e.stack.ingest, "it", own)).toMatchObject({ msg: "request", status: 499 });
  await blocking.query("rollback");
  await blocking.end();
  const isAccepted = (line: Line) => own(line) && "events" in line;
  const { events } = await untilLine(e2e.stack.ingest, "its event", isAccepted);
  const { body: stored } = await e2e.api.call<{ data: { id: string }[] }>("GET", `/v1/events?tenant=${tenant}`);
  expect(events).toEqual(stored.data.map(({ id }) => id));
});

test("no log line contains a secret, a payload or a response, even at the level trace", async () => {
  const { ingest, workers, console, consoleUrl } = e2e.stack;
  const mark = () => `mark${randomBytes(12).toString("hex")}`;
  const hidden = {
    "an API key": e2e.api.key,
    "a wrong API key": mark(),
    "an event's data": mark(),
    "data that is refused": mark(),
    "a header for the subscriber": mark(),
    "a token in its URL": mark(),
    "its response": mark(),
    "a console password": mark(),
    "an idempotency key": mark(),
  };
  const tenant = newTenant();
  const { url } = e2e.receiver.endpoint(answer(500, { body: hidden["its response"] }));
  const { id, secret } = await e2e.api.subscribe({
    tenant,
    url: `${url}?token=${hidden["a token in its URL"]}`,
    headers: { authorization: `Bearer ${hidden["a header for the subscriber"]}` },
    retrySchedule: ["100ms"],
  });
  const { body: rotated } = await e2e.api.call<{ secret: string }>("POST", `/v1/subscriptions/${id}/secret/rotate`, {
    body: {},
  });
  const { body: event } = await e2e.api.call<{ id: string }>("POST", "/v1/events", {
    body: { type: "order.created", data: hidden["an event's data"], tenant },
    headers: { "idempotency-key": hidden["an idempotency key"] },
  });
  await e2e.api.untilDelivery(event.id, "dead");
  await e2e.api.call("POST", "/v1/events", { raw: `{"type":"${hidden["data that is refused"]}` });
  await e2e.api.call("GET", `/v1/events?tenant=${tenant}&cursor=${hidden["data that is refused"]}`);
  await e2e.api.call("GET", "/v1/events", { key: hidden["a wrong API key"] });
  await fetch(`${consoleUrl}/login`, {
    method: "POST",
    body: new URLSearchParams({ user: "operator", password: hidden["a console password"] }),
  });
  await untilLine(console!, "the login", ({ msg }) => msg === "login failed");
  await untilLine(workers[0]!, "the last attempt", ({ event: of, next }) => of === event.id && next === "dead");
  const said = [ingest, ...workers, console!].map((process) => process.output()).join("\n");
  const found = Object.entries({ ...hidden, "a signing secret": secret, "a new signing secret": rotated.secret })
    .filter(([, value]) => said.includes(value))
    .map(([name]) => name);
  expect(found).toEqual([]);
});
