import { PROBLEMS } from "../../apps/ingest/src/http/problem.ts";
import { foreignTexts } from "../callers.ts";
import type { Call } from "../generate/call.ts";
import { IN_ANSWERS, SIGNING_IN_ANSWERS } from "../secrets.ts";
import type { Reply } from "../send/connection.ts";
import type { Received } from "../send/parse-responses.ts";
import { statusDemanded } from "./status-demanded.ts";

/** An answer with an error lists 20 errors at most, so it is short whatever was sent. */
const MAX_ERROR_BYTES = 32 * 1024;

/** A 503 of these says what is full; all others are failures, because Postgres and Redis run. */
const FULL = new Set(["overloaded", "reads_overloaded", "read_timeout"]);

/** Calls whose answers hold a signing secret. */
const SHOWS_SECRET = new Set([
  "POST /v1/subscriptions",
  "GET /v1/subscriptions/:id/secret",
  "POST /v1/subscriptions/:id/secret/rotate",
]);

export interface Judgement {
  kind: string;
  detail: string;
}

/** What is wrong with the reply to a call. */
export function judgeReply(call: Call, reply: Reply): Judgement[] {
  const where = call.route;
  if (reply.isOverdue) {
    return [{ kind: `no answer: ${where}`, detail: `nothing within ${Math.round(reply.tookMs)} ms` }];
  }
  const found: Judgement[] = [];
  if (reply.problem !== undefined) {
    found.push({ kind: `not HTTP: ${where}`, detail: `${reply.problem}: ${excerpt(reply.rest)}` });
  }
  if (!call.isRaw && reply.responses.length === 0 && reply.problem === undefined) {
    found.push({ kind: `closed without an answer: ${where}`, detail: excerpt(reply.rest) });
  }
  for (const response of reply.responses) {
    found.push(...judgeResponse(call, response).map(({ kind, detail }) => ({ kind: `${kind}: ${where}`, detail })));
  }
  return found;
}

function judgeResponse(call: Call, response: Received): Judgement[] {
  const { status, body, headers } = response;
  const found: Judgement[] = [];
  const report = (kind: string, detail = "") =>
    found.push({ kind, detail: `${status} ${detail} ${excerpt(body)}`.trim() });
  const text = body.toString();
  const isHead = call.method === "HEAD";
  const code = call.server === "api" && status >= 400 && !isHead ? judgeProblem(response, text, report) : undefined;
  const isFull = status === 503 && code !== undefined && FULL.has(code);
  if (status >= 500 && status !== 508 && !isFull && !(isHead && status === 503)) report(String(status));
  const demanded = statusDemanded(call);
  if (demanded !== undefined && !demanded.includes(status) && !isFull && !isOfParser(status, code)) {
    report(`${call.caller} was not refused`, `instead of ${demanded.join(" or ")}`);
  }
  if (call.server === "api") {
    const all = text + [...headers.values()].join(" ");
    for (const one of foreignTexts(call.caller)) if (all.includes(one)) report("data of another tenant", one);
  }
  const credential = IN_ANSWERS.exec(text)?.[0];
  if (credential !== undefined) report("a credential in an answer", credential);
  if (SIGNING_IN_ANSWERS.test(text) && !(status < 300 && SHOWS_SECRET.has(call.route))) {
    report("a signing secret in an answer");
  }
  // The router answers OPTIONS by a list of methods.
  const isOptions = call.method === "OPTIONS" || call.isRaw;
  if (call.server === "api" && status < 300 && status !== 204 && !isHead && !isOptions && !isJson(text)) {
    report("not JSON");
  }
  return found;
}

/** A request that is refused before the key is looked at; an answer to HEAD has no code. */
const isOfParser = (status: number, code: string | undefined): boolean =>
  [400, 417, 431].includes(status) &&
  (code === undefined || ["invalid_http", "expectation_failed", "headers_too_large"].includes(code));

/** @returns the problem's code */
function judgeProblem(
  { status, headers, body }: Received,
  text: string,
  report: (kind: string, detail?: string) => void,
): string | undefined {
  if (headers.get("content-type")?.split(";")[0] !== "application/problem+json") {
    report("an error that is not problem+json", headers.get("content-type") ?? "without content-type");
    return undefined;
  }
  if (body.length > MAX_ERROR_BYTES) report("a long error", `${body.length} bytes`);
  const problem = parse(text) as Partial<Record<"status" | "code" | "title" | "detail" | "requestId", unknown>>;
  const known = typeof problem.code === "string" && Object.hasOwn(PROBLEMS, problem.code);
  if (!known) {
    report("an unknown code", String(problem.code));
    return undefined;
  }
  const code = problem.code as keyof typeof PROBLEMS;
  if (problem.status !== status || PROBLEMS[code].status !== status) report("a status unlike the code's", code);
  if (typeof problem.title !== "string" || typeof problem.detail !== "string" || problem.detail === "") {
    report("a problem without title or detail");
  }
  if (problem.requestId !== headers.get("x-request-id")) report("a request id unlike the header's");
  return code;
}

function parse(text: string): object {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? value : {};
  } catch {
    return {};
  }
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

const excerpt = (bytes: Buffer): string => JSON.stringify(bytes.toString("latin1", 0, 400));
