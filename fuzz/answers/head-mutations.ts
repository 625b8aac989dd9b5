import type { Draw } from "../draw.ts";
import { anyStatus, type AnswerMutation, fatesOf, head, plain, type Unnumbered } from "./answer.ts";

const latin1 = (text: string): Buffer => Buffer.from(text, "latin1");
const one = (bytes: Buffer) => [{ bytes, afterMs: 0 }];

/** A head that a parser may read or refuse: its status decides, or there was no answer. */
const doubtful = (label: string, bytes: Buffer, status: number): Unnumbered => ({
  label,
  pieces: one(bytes),
  ending: "close",
  fates: [...fatesOf(status), "dead"],
  status: undefined,
});

const noAnswer = (label: string, bytes: Buffer, ending: Unnumbered["ending"]): Unnumbered => ({
  label,
  pieces: one(bytes),
  ending,
  fates: ["dead"],
  status: undefined,
});

const statusLine: AnswerMutation = (draw) => {
  const line = draw.pick([
    "HTTP/1.1 20 OK",
    "HTTP/1.1 2000 OK",
    "HTTP/1.1 2OO OK",
    "HTTP/1.1 -200 OK",
    "HTTP/1.1 099 Low",
    "HTTP/1.1 000 Zero",
    "HTTP/1.1  OK",
    "HTTP/1.1",
    "HTTP/2 500 x",
    "HTTP/1.1 600 High",
    "HTTP/1.1 999 Higher",
    "HTTP/0.9 500 Old",
    "HTTP/1.10 500 x",
    "http/1.1 500 x",
    "ICY 200 OK",
    "SSH-2.0-OpenSSH_9.2",
    "<html>200 OK</html>",
    "\u0015\u0003\u0003\u0000\u0002\u0002(",
    "",
    "\0\0\0\0",
  ]);
  return noAnswer("status line", latin1(`${line}\r\ncontent-length: 0\r\n\r\n`), "close");
};

const lenientStatusLine: AnswerMutation = (draw) => {
  const status = anyStatus(draw);
  const line = draw.pick([
    `HTTP/1.1 ${status}`,
    `HTTP/1.0 ${status} OK`,
    `HTTP/2.0 ${status} OK`,
    `HTTP/1.1  ${status} OK`,
    `HTTP/1.1 ${status}OK`,
    `\r\nHTTP/1.1 ${status} OK`,
    ` HTTP/1.1 ${status} OK`,
    `HTTP/1.1\t${status}\tOK`,
  ]);
  return doubtful("lenient status line", latin1(`${line}\r\ncontent-length: 0\r\n\r\n`), status);
};

const reason: AnswerMutation = (draw) => {
  const status = anyStatus(draw);
  const text = draw.pick(["", "\u00e9\u00ff\u0080", "OK\tOK", "x".repeat(8_000), "200 OK HTTP/1.1", "% %s {} <b>"]);
  const framing = status === 204 || status === 304 ? [] : ["content-length: 0"];
  return {
    label: "reason phrase",
    pieces: one(head(status, [...framing, "connection: close"], text)),
    ending: "close",
    fates: fatesOf(status),
    status,
  };
};

const binaryReason: AnswerMutation = (draw) => {
  const status = anyStatus(draw);
  const text = draw.pick(["\0", "a\u0001b", "\u007f", "\u001b[31m"]);
  return doubtful("binary reason phrase", head(status, ["content-length: 0"], text), status);
};

const headers: AnswerMutation = (draw) => {
  const status = anyStatus(draw);
  const extra = draw.pick([
    Array.from({ length: 90 }, (_, n) => `x-${n}: ${n}`),
    [`x: ${"a".repeat(8_000)}`],
    ["x: \u00e9\u00ff"],
    ["x:", "x:   ", "x: a", "x: b"],
    ["content-type: text/html; charset=\u00ff"],
    ["set-cookie: a=b", "set-cookie: c=d; path=/"],
    ["__proto__: x", "constructor: y", "hasownproperty: z"],
    ["X-A: 1", "x-a: 2"],
    ["date: yesterday", "age: -1", "via: 1.1 x"],
    ["keep-alive: timeout=0", "keep-alive: timeout=99999999999"],
    ["trailer: x"],
    ["upgrade: h2c"],
  ]);
  return {
    label: "headers",
    pieces: one(plain(status, [...extra, "connection: close"])),
    ending: "close",
    fates: fatesOf(status),
    status,
  };
};

const badHeaders: AnswerMutation = (draw) => {
  const status = anyStatus(draw);
  const extra = draw.pick([
    ["no colon"],
    ["space : before"],
    [": no name"],
    ["x: \0"],
    ["x: \u0001\u0002"],
    ["x: a", " folded"],
    ["x: a\rb"],
    ["x: a\nb: c"],
    [`x: ${"a".repeat(20_000)}`],
    [`${"x".repeat(70_000)}: a`],
    Array.from({ length: 3_000 }, (_, n) => `x-${n}: ${n}`),
    ["content-length: -1"],
    ["content-length: 5", "content-length: 6"],
    ["content-length: 0x5"],
    ["content-length: 99999999999999999999999"],
    ["transfer-encoding: chunked", "content-length: 3"],
    ["transfer-encoding: nonsense"],
    ["transfer-encoding: identity, chunked"],
  ]);
  const bytes = Buffer.concat([head(status, extra), latin1("3\r\nabc\r\n0\r\n\r\n")]);
  return doubtful("bad headers", bytes, status);
};

const interim: AnswerMutation = (draw) => {
  const status = anyStatus(draw);
  const code = draw.pick([100, 102, 103, 199]);
  const times = draw.pick([1, 2, 20, 300]);
  const flood = Buffer.concat(Array.from({ length: times }, () => head(code, ["link: </x>; rel=preload"], "Interim")));
  const bytes = Buffer.concat([flood, plain(status, ["connection: close"])]);
  return { label: `interim ${code}`, pieces: one(bytes), ending: "close", fates: fatesOf(status), status };
};

const switched: AnswerMutation = () => ({
  label: "101",
  pieces: one(head(101, ["upgrade: websocket", "connection: upgrade"], "Switching Protocols")),
  ending: "close",
  fates: ["dead"],
  status: undefined,
});

/** Values whose meaning only lengthens a retry, or is none. */
const RETRY_AFTER = [
  "0",
  "1",
  "3600",
  "99999999999999999999",
  "-1",
  "1.5",
  " 2 ",
  "",
  "soon",
  "1e3",
  "0x10",
  "Wed, 21 Oct 2015 07:28:00 GMT",
  "Sun, 06 Nov 2094 08:49:37 GMT",
  "Wed, 32 Foo 2026 99:99:99 GMT",
  "Sunday, 06-Nov-94 08:49:37 GMT",
  "Sun Nov  6 08:49:37 1994",
  "2026-01-01T00:00:00Z",
  "1, 2",
  "\u00e9",
];

const retryAfter: AnswerMutation = (draw) => {
  const status = draw.pick([429, 503, 503, 500, 200]);
  const values = [draw.pick(RETRY_AFTER), ...(draw.chance(0.2) ? [draw.pick(RETRY_AFTER)] : [])];
  const lines = values.map((value) => `retry-after: ${value}`);
  return {
    label: "retry-after",
    pieces: one(plain(status, lines)),
    ending: "keep",
    fates: status === 200 ? ["delivered"] : ["delivered", "delayed"],
    status,
  };
};

const redirect: AnswerMutation = (draw) => {
  const status = draw.pick([300, 301, 302, 303, 305, 307, 308]);
  const location = draw.pick(["/followed", "//127.0.0.1/followed", "", "javascript:1", "http://[::1", "\u00ff", "?a"]);
  return {
    label: "redirect",
    pieces: one(plain(status, [`location: ${location}`])),
    ending: "keep",
    fates: ["dead"],
    status,
  };
};

const gone: AnswerMutation = (draw) => ({
  label: "410",
  pieces: one(plain(410, draw.chance(0.5) ? ["retry-after: 5"] : [])),
  ending: "keep",
  fates: ["gone"],
  status: 410,
});

/** Ends before the head is complete. */
const cutHead: AnswerMutation = (draw) => {
  const whole = head(200, ["content-type: text/plain", "content-length: 2"]);
  const bytes = whole.subarray(0, draw.integer(0, whole.length - 1));
  return noAnswer("cut head", bytes, draw.pick(["close", "reset"]));
};

const silence: AnswerMutation = (draw) => {
  const whole = head(200, ["content-length: 0"]);
  return noAnswer("silence", whole.subarray(0, draw.pick([0, 0, 5, whole.length - 1])), "silence");
};

const slowHead: AnswerMutation = (draw) => {
  const status = anyStatus(draw);
  const bytes = plain(status);
  const at = draw.integer(1, bytes.length - 1);
  const pieces = [
    { bytes: bytes.subarray(0, at), afterMs: draw.integer(0, 20) },
    { bytes: bytes.subarray(at), afterMs: draw.integer(1, 30) },
  ];
  return { label: "slow head", pieces, ending: "keep", fates: fatesOf(status), status };
};

const garbage: AnswerMutation = (draw: Draw) => noAnswer("garbage", draw.bytes(draw.integer(1, 500)), "close");

export const headMutations: readonly (readonly [number, AnswerMutation])[] = [
  [1, statusLine],
  [1, lenientStatusLine],
  [1, reason],
  [0.5, binaryReason],
  [2, headers],
  [2, badHeaders],
  [2, interim],
  [0.3, switched],
  [1, retryAfter],
  [0.7, redirect],
  [0.3, gone],
  [1, cutHead],
  [0.2, silence],
  [1, slowHead],
  [0.5, garbage],
];
