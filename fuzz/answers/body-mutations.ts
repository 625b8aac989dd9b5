import { brotliCompressSync, deflateSync, gzipSync } from "node:zlib";
import { anyStatus, type AnswerMutation, fatesOf, head, type Unnumbered } from "./answer.ts";
import type { Draw } from "../draw.ts";

const latin1 = (text: string): Buffer => Buffer.from(text, "latin1");

/** A status whose answer has a body. */
function statusWithBody(draw: Draw): number {
  const status = anyStatus(draw);
  return status === 204 || status === 304 ? 200 : status;
}

/** A valid head and any body: the status decides. */
function decided(
  label: string,
  status: number,
  headers: readonly string[],
  body: Buffer,
  ending: Unnumbered["ending"],
) {
  const bytes = Buffer.concat([head(status, headers), body]);
  return { label, pieces: [{ bytes, afterMs: 0 }], ending, fates: fatesOf(status), status } satisfies Unnumbered;
}

const length: AnswerMutation = (draw) => {
  const body = draw.pick(["", "ok", "x".repeat(20_000)]);
  const claimed = draw.pick([0, 1, body.length + 1, body.length + 5_000, 9_007_199_254_740_991]);
  return decided("wrong length", statusWithBody(draw), [`content-length: ${claimed}`], latin1(body), "close");
};

const noLength: AnswerMutation = (draw) => {
  const body = draw.bytes(draw.pick([0, 10, 16_384, 16_385, 100_000]));
  return decided("until closed", statusWithBody(draw), ["connection: close"], body, "close");
};

const chunks: AnswerMutation = (draw) => {
  const body = draw.pick([
    "2\r\nok\r\n0\r\n\r\n",
    "2\r\nok\r\n0\r\nx-trailer: 1\r\n\r\n",
    "2;a=b\r\nok\r\n0\r\n\r\n",
    "2\r\nok\r\n",
    "2\r\nok0\r\n\r\n",
    "zz\r\nok\r\n0\r\n\r\n",
    "-2\r\nok\r\n0\r\n\r\n",
    "ffffffffffffffffffff\r\nok",
    "5000\r\nok",
    "2\nok\n0\n\n",
    `2;${"x".repeat(20_000)}\r\nok\r\n0\r\n\r\n`,
    `0\r\n${"t: 1\r\n".repeat(4_000)}\r\n`,
    "",
    "1\r\na\r\n".repeat(3_000),
  ]);
  return decided("chunks", statusWithBody(draw), ["transfer-encoding: chunked"], latin1(body), "close");
};

const ENCODERS = [
  ["gzip", gzipSync],
  ["deflate", deflateSync],
  ["br", brotliCompressSync],
] as const;

const encoded: AnswerMutation = (draw) => {
  const [encoding, encode] = draw.pick(ENCODERS);
  const whole = encode(Buffer.from("answer ".repeat(draw.pick([1, 50, 20_000]))));
  const body = draw.pick([
    () => whole,
    () => whole.subarray(0, draw.integer(0, whole.length)),
    () => draw.bytes(draw.integer(1, 300)),
    () => Buffer.alloc(0),
    () => latin1("plain"),
    () => Buffer.concat([whole, draw.bytes(50)]),
  ])();
  const named = draw.pick([encoding, encoding.toUpperCase(), `${encoding}, ${encoding}`, "gzip", "zstd", "x", ""]);
  const headers = [`content-encoding: ${named}`, `content-length: ${body.length}`, "connection: close"];
  return decided("encoded", statusWithBody(draw), headers, body, "close");
};

/** An endless body that compresses well. */
const bomb: AnswerMutation = (draw) => {
  bombBytes ??= gzipSync(Buffer.alloc(8 * 1024 * 1024));
  const headers = ["content-encoding: gzip", `content-length: ${bombBytes.length}`, "connection: close"];
  return decided("bomb", statusWithBody(draw), headers, bombBytes, "close");
};
let bombBytes: Buffer | undefined;

const withoutBody: AnswerMutation = (draw) => {
  const status = draw.pick([204, 205, 304]);
  const headers = draw.pick([["content-encoding: gzip"], ["content-length: 0"], ["content-type: x/y"]]);
  return decided("status without a body", status, [...headers, "connection: close"], latin1(""), "close");
};

const dripping: AnswerMutation = (draw) => {
  const status = statusWithBody(draw);
  const parts = draw.pick([5, 20, 100]);
  const pieces = [
    { bytes: head(status, ["content-type: text/plain"]), afterMs: 0 },
    ...Array.from({ length: parts }, () => ({ bytes: latin1("drip"), afterMs: 10 })),
  ];
  return { label: "dripping", pieces, ending: draw.pick(["silence", "close"]), fates: fatesOf(status), status };
};

const cutBody: AnswerMutation = (draw) => {
  const body = latin1("x".repeat(draw.pick([10, 5_000])));
  const cut = body.subarray(0, draw.integer(0, body.length - 1));
  return decided("cut body", statusWithBody(draw), [`content-length: ${body.length}`], cut, "close");
};

const contents: AnswerMutation = (draw) => {
  const body = draw.pick([
    latin1("\0\0\0"),
    latin1("\u00ff\u00fe\u00c0\u0080"),
    Buffer.from("\u202e\ufeff\u{1f600}"),
    Buffer.from('{"__proto__":1}'),
    Buffer.from("<script>alert(1)</script>"),
    Buffer.from('\u001b[2J\r\n{"level":60}'),
    Buffer.from([0xf0, 0x9f, 0x98]),
    Buffer.from("\u00e9".repeat(8_192)),
  ]);
  const headers = [`content-length: ${body.length}`, `content-type: ${draw.pick(["text/plain", "\u00ff", "a/b; c"])}`];
  return decided("contents", statusWithBody(draw), headers, body, "keep");
};

const more: AnswerMutation = (draw) => {
  const extra = draw.pick(["HTTP/1.1 500 Second\r\ncontent-length: 0\r\n\r\n", "rest", "\r\n\r\n", "\0"]);
  const headers = ["content-length: 2", "connection: close"];
  return decided("bytes after it", statusWithBody(draw), headers, latin1(`ok${extra}`), "close");
};

export const bodyMutations: readonly (readonly [number, AnswerMutation])[] = [
  [2, length],
  [1, noLength],
  [2, chunks],
  [3, encoded],
  [0.2, bomb],
  [1, withoutBody],
  [0.5, dripping],
  [2, cutBody],
  [2, contents],
  [1, more],
];
