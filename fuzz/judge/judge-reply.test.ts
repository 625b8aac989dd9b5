import { expect, test } from "vitest";
import type { Call } from "../generate/call.ts";
import { CREDENTIALS } from "../secrets.ts";
import type { Reply } from "../send/connection.ts";
import { parseResponses } from "../send/parse-responses.ts";
import { judgeReply } from "./judge-reply.ts";

const call: Call = {
  number: 1,
  server: "api",
  caller: "tenant-a",
  method: "GET",
  route: "GET /v1/events/:id",
  mutations: [],
  pieces: [],
  ending: "read",
  isAnswerDue: true,
  isRaw: false,
};

function reply(status: number, type: string, body: string, parts: Partial<Reply> = {}): Reply {
  const head = `HTTP/1.1 ${status} X\r\ncontent-type: ${type}\r\nx-request-id: r1\r\n`;
  const bytes = Buffer.from(`${head}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
  return { ...parseResponses(bytes, ["GET"], false), isOverdue: false, tookMs: 1, ...parts };
}

const PROBLEM = "application/problem+json";
const problem = (status: number, code: string) =>
  JSON.stringify({ title: "t", detail: "d", status, code, requestId: "r1" });
const kinds = (answer: Reply, parts: Partial<Call> = {}) =>
  judgeReply({ ...call, ...parts }, answer).map(({ kind }) => kind.split(":")[0]);

test("good answers are not found", () => {
  expect(kinds(reply(200, "application/json", '{"text":"mark-a-1"}'))).toEqual([]);
  expect(kinds(reply(404, PROBLEM, problem(404, "not_found")))).toEqual([]);
  expect(kinds(reply(503, PROBLEM, problem(503, "reads_overloaded")))).toEqual([]);
});

test("refusals of what belongs to another tenant are not found", () => {
  const foreign = { method: "PATCH", route: "PATCH /v1/subscriptions/:id", mutations: [":id foreign"] };
  expect(kinds(reply(404, PROBLEM, problem(404, "not_found")), foreign)).toEqual([]);
  const bad = { ...foreign, mutations: [":id foreign", "replace url"] };
  expect(kinds(reply(400, PROBLEM, problem(400, "invalid_request")), bad)).toEqual([]);
  const other = { method: "POST", route: "POST /v1/events", mutations: ["other tenant"] };
  expect(kinds(reply(403, PROBLEM, problem(403, "forbidden")), other)).toEqual([]);
});

test.each<[string, Reply, Partial<Call>, string]>([
  ["a 500", reply(500, PROBLEM, problem(500, "internal")), {}, "500"],
  ["a 503 without a reason", reply(503, PROBLEM, problem(503, "database_unavailable")), {}, "503"],
  ["an error in HTML", reply(404, "text/html", "<p>"), {}, "an error that is not problem+json"],
  ["an unknown code", reply(404, PROBLEM, problem(404, "whatever")), {}, "an unknown code"],
  ["a code of another status", reply(400, PROBLEM, problem(400, "not_found")), {}, "a status unlike the code's"],
  ["another tenant's data", reply(200, "application/json", '{"text":"mark-b-1"}'), {}, "data of another tenant"],
  ["another tenant's name", reply(200, "application/json", '{"tenant":"fuzz-b"}'), {}, "data of another tenant"],
  [
    "another tenant's delivery",
    reply(200, "application/json", '{"id":"dlv_1"}'),
    { route: "GET /v1/deliveries/:id", mutations: [":id foreign"] },
    "tenant-a was not refused",
  ],
  [
    "another tenant's signing secret",
    reply(200, "application/json", '{"secret":"whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}'),
    { route: "GET /v1/subscriptions/:id/secret", mutations: [":id foreign"] },
    "tenant-a was not refused",
  ],
  [
    "the end of another tenant's subscription",
    reply(204, "application/json", ""),
    { route: "DELETE /v1/subscriptions/:id", method: "DELETE", mutations: [":id foreign", "accept: text/html"] },
    "tenant-a was not refused",
  ],
  [
    "an event for another tenant",
    reply(202, "application/json", '{"id":"evt_1"}'),
    { route: "POST /v1/events", method: "POST", mutations: ["other tenant"] },
    "tenant-a was not refused",
  ],
  ["a key", reply(200, "application/json", `"${CREDENTIALS.operator}"`), {}, "a credential in an answer"],
  ["a signing secret", reply(200, "application/json", '"FUZZSECRET"'), {}, "a signing secret in an answer"],
  ["a stranger's success", reply(200, "application/json", "{}"), { caller: "none" }, "none was not refused"],
  [
    "a write by a reader",
    reply(202, "application/json", "{}"),
    { caller: "read-only", method: "POST" },
    "read-only was not refused",
  ],
  ["silence", reply(200, "application/json", "", { isOverdue: true, responses: [] }), {}, "no answer"],
  ["bytes that are not HTTP", reply(200, "application/json", "{}", { problem: "it is not HTTP" }), {}, "not HTTP"],
])("%s is found", (_, answer, parts, kind) => {
  expect(kinds(answer, parts)).toContain(kind);
});
