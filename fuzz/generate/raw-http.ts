import { authorizationOf } from "../callers.ts";
import type { Call, Piece, ServerName } from "./call.ts";
import { generateBody } from "./body.ts";
import { BODIES } from "./fields.ts";
import type { Subject } from "./subject.ts";

type Raw = Pick<Call, "server" | "method" | "route" | "mutations" | "pieces" | "ending" | "isAnswerDue" | "isRaw">;

interface Mutated {
  pieces: Piece[];
  ending?: Call["ending"];
  /** True by default. */
  isAnswerDue?: boolean;
  method?: string;
}

const latin1 = (text: string): Buffer => Buffer.from(text, "latin1");
const once = (text: string): Mutated => ({ pieces: [{ bytes: latin1(text) }] });

/** A mutation of the protocol itself, for a connection of its own. */
export function generateRaw(subject: Subject): Raw {
  const { draw } = subject;
  const server = draw.weighted<ServerName>([
    [8, "api"],
    [2, "console"],
    [1, "admin-ingest"],
    [1, "admin-worker"],
    [1, "admin-console"],
  ]);
  const name = draw.pick(NAMES);
  const { pieces, ending = "read", isAnswerDue = true, method } = MUTATIONS[name]!(subject);
  return {
    server,
    method: method ?? "POST",
    route: `raw ${name}`,
    mutations: [],
    pieces,
    ending,
    isAnswerDue: isAnswerDue && ending !== "leave",
    isRaw: true,
  };
}

/** The lines of a valid request for an event, and its body. */
function valid(subject: Subject) {
  const authorization = authorizationOf(subject.caller, subject.draw);
  const body = generateBody(subject, BODIES.event).value.toString("latin1");
  const lines = ["host: 127.0.0.1", "content-type: application/json"];
  if (authorization !== undefined) lines.push(`authorization: ${authorization}`);
  return { line: "POST /v1/events HTTP/1.1", lines, body, length: `content-length: ${body.length}` };
}

const build = (line: string, lines: readonly string[], body = "", end = "\r\n"): string =>
  [line, ...lines].join(end) + end + end + body;

/** One that the server answers and after which it closes the connection. */
const GET = "GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n";

const MUTATIONS: Readonly<Record<string, (subject: Subject) => Mutated>> = {
  "request line"(subject) {
    const { lines, body, length } = valid(subject);
    const line = subject.draw.pick([
      "",
      "POST",
      "POST /v1/events",
      "POST  /v1/events  HTTP/1.1",
      "POST /v1/events HTTP/1.0",
      "POST /v1/events HTTP/0.9",
      "POST /v1/events HTTP/2.0",
      "POST /v1/events HTTP/9.9",
      "POST /v1/events http/1.1",
      "POST /v1/events HTTP/1.1 x",
      "post /v1/events HTTP/1.1",
      "NONSENSE /v1/events HTTP/1.1",
      "POST http://evil.example/v1/events HTTP/1.1",
      "POST v1/events HTTP/1.1",
      "POST * HTTP/1.1",
      "OPTIONS * HTTP/1.1",
      "CONNECT 127.0.0.1:80 HTTP/1.1",
      "POST /v1/\u00ff\u00fe HTTP/1.1",
      "POST /v1/events\0 HTTP/1.1",
      "PRI * HTTP/2.0",
      `POST /${"a".repeat(20_000)} HTTP/1.1`,
      `POST /v1/events?${"&".repeat(15_000)} HTTP/1.1`,
      "\u0016\u0003\u0001\u0002\u0000\u0001\u0000",
    ]);
    return once(build(line, [...lines, length], body));
  },
  "line ends"(subject) {
    const { line, lines, body, length } = valid(subject);
    const end = subject.draw.pick(["\n", "\r", "\n\r", "\r\r\n", "\r\n\r"]);
    return { ...once(build(line, [...lines, length], body, end)), ending: "half-close" };
  },
  header(subject) {
    const { line, lines, body, length } = valid(subject);
    const { draw } = subject;
    const header = draw.pick([
      "no colon",
      ": no name",
      "space : before",
      " folded: first",
      "x: a\r\n folded",
      "x: \0",
      "x\0: a",
      "x: \u0001\u007f",
      "x: a\rb: c",
      "x: a\nb: c",
      "\u00e9: a",
      "x: \u00ff",
      `x: ${"a".repeat(draw.pick([8_000, 17_000, 100_000]))}`,
      `${"x".repeat(17_000)}: a`,
      Array.from({ length: draw.pick([100, 1_000, 2_500]) }, (_, n) => `h${n}: 1`).join("\r\n"),
      "host: 127.0.0.1",
      "host: evil.example",
      "authorization: Bearer x",
      "content-type: text/plain",
      "connection: keep-alive, x-request-id, authorization",
      "keep-alive: timeout=999999999",
    ]);
    const at = draw.integer(0, lines.length);
    return once(build(line, [...lines.slice(0, at), header, ...lines.slice(at), length], body));
  },
  length(subject) {
    const { line, lines, body } = valid(subject);
    const value = subject.draw.pick([
      "-1",
      "+5",
      "0x5",
      "5, 5",
      "5,6",
      "",
      "1e2",
      "99999999999999999999",
      "18446744073709551616",
      "5\r\ncontent-length: 6",
      "5 5",
      "\u0665",
      "0",
      String(Math.max(0, body.length - 3)),
    ]);
    return { ...once(build(line, [...lines, `content-length: ${value}`], body)), ending: "half-close" };
  },
  smuggling(subject) {
    const { line, lines, body, length } = valid(subject);
    const framing = subject.draw.pick([
      [length, "transfer-encoding: chunked"],
      ["transfer-encoding: chunked", "content-length: 4"],
      ["transfer-encoding: chunked, identity"],
      ["transfer-encoding: identity, chunked"],
      ["transfer-encoding:\u000bchunked"],
      ["transfer-encoding: xchunked"],
      ["transfer-encoding : chunked"],
      ["transfer-encoding: chunked", "transfer-encoding: identity"],
      ["transfer-encoding: gzip, chunked"],
      ["Transfer-Encoding: CHUNKED"],
      ["transfer-encoding: chunked;x=y"],
    ]);
    return { ...once(`${build(line, [...lines, ...framing], `0\r\n\r\n${GET}`)}${body}`), ending: "half-close" };
  },
  chunks(subject) {
    const { line, lines, body } = valid(subject);
    const size = body.length.toString(16);
    const text = subject.draw.pick([
      `${size}\r\n${body}\r\n0\r\n\r\n`,
      `${size};ext="a;b"\r\n${body}\r\n0\r\nx-trailer: 1\r\n\r\n`,
      `${size}\n${body}\n0\n\n`,
      `${size}\r\n${body}0\r\n\r\n`,
      `zz\r\n${body}\r\n0\r\n\r\n`,
      `ffffffffffffffffffff\r\n${body}`,
      `-1\r\n${body}\r\n0\r\n\r\n`,
      ` ${size}\r\n${body}\r\n0\r\n\r\n`,
      `0${size}\r\n${body}\r\n00000\r\n\r\n`,
      `${size};${"x".repeat(20_000)}\r\n${body}\r\n0\r\n\r\n`,
      `${size}\r\n${body}\r\n0\r\n${"t: 1\r\n".repeat(5_000)}\r\n`,
      "0\r\n\r\n",
      body
        .split("")
        .map((one) => `1\r\n${one}\r\n`)
        .join("")
        .concat("0\r\n\r\n"),
    ]);
    return { ...once(build(line, [...lines, "transfer-encoding: chunked"], text)), ending: "half-close" };
  },
  pipelining(subject) {
    const { line, lines, body, length } = valid(subject);
    const one = build(line, [...lines, length], body);
    return once(one.repeat(subject.draw.pick([2, 5, 40])) + GET);
  },
  "half a request"(subject) {
    const { line, lines, body, length } = valid(subject);
    const whole = build(line, [...lines, length], body);
    const cut = whole.slice(0, subject.draw.integer(0, whole.length - 1));
    const ending = subject.draw.pick(["read", "half-close", "leave"] as const);
    return { ...once(cut), ending, isAnswerDue: false };
  },
  "no rest of the body"(subject) {
    const { line, lines, length, body } = valid(subject);
    return once(build(line, [...lines, `${length}0`], body));
  },
  "slow bytes"(subject) {
    const { line, lines, body, length } = valid(subject);
    const whole = latin1(build(line, [...lines, length], body));
    const parts = subject.draw.pick([3, 10, 25]);
    const size = Math.ceil(whole.length / parts);
    const pieces = Array.from({ length: parts }, (_, n) => ({
      bytes: whole.subarray(n * size, (n + 1) * size),
      afterMs: subject.draw.integer(1, 20),
    }));
    return { pieces };
  },
  "leaving early"(subject) {
    const { line, lines, body, length } = valid(subject);
    return { ...once(build(line, [...lines, length], body)), ending: "leave" };
  },
  garbage({ draw }) {
    return { pieces: [{ bytes: draw.bytes(draw.integer(1, 600)) }], ending: "half-close", isAnswerDue: false };
  },
  "flipped bytes"(subject) {
    const { line, lines, body, length } = valid(subject);
    const bytes = latin1(build(line, [...lines, length], body));
    for (let n = subject.draw.integer(1, 4); n > 0; n -= 1) {
      const at = subject.draw.integer(0, bytes.length - 1);
      bytes[at] = subject.draw.integer(0, 255);
    }
    return { pieces: [{ bytes }], ending: "half-close", isAnswerDue: false };
  },
  "more than one host"(subject) {
    const { line, lines, body, length } = valid(subject);
    const others = subject.draw.pick([lines.slice(1), [...lines, "host: a"], ["host:", ...lines.slice(1)]]);
    return once(build(line, [...others, length], body));
  },
  upgrade(subject) {
    const { lines } = valid(subject);
    const key = "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==";
    const upgrade = subject.draw.pick(["websocket", "h2c", "TLS/1.0", "x, y"]);
    const extra = [`upgrade: ${upgrade}`, "connection: upgrade", key, "http2-settings: AAMAAABkAAQAAP__"];
    return { ...once(build("GET /v1/events HTTP/1.1", [...lines, ...extra])), ending: "half-close", method: "GET" };
  },
  "expect 100"(subject) {
    const { line, lines, body, length } = valid(subject);
    const head = latin1(build(line, [...lines, length, "expect: 100-continue"]));
    return { pieces: [{ bytes: head }, { bytes: latin1(body), afterMs: subject.draw.pick([0, 30]) }] };
  },
};

const NAMES = Object.keys(MUTATIONS);
