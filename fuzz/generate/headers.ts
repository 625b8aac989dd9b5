import { brotliCompressSync, deflateSync, gzipSync } from "node:zlib";
import type { Draw } from "../draw.ts";
import type { Subject } from "./subject.ts";

export type Header = readonly [name: string, value: string];

/** Headers of a body; the body is encoded as one of them says, or not at all. */
export function generateBodyHeaders(
  draw: Draw,
  body: Buffer,
  mutations: string[],
): { headers: Header[]; body: Buffer } {
  const headers: Header[] = [];
  let sent = body;
  const type = draw.chance(0.85) ? "application/json" : draw.pick(CONTENT_TYPES);
  if (type !== "application/json") mutations.push(`content-type ${type.slice(0, 60)}`);
  if (type !== "") headers.push(["content-type", type]);
  if (draw.chance(0.12)) {
    const [encoding, encode] = draw.pick(ENCODINGS);
    mutations.push(`content-encoding ${encoding}`);
    headers.push(["content-encoding", encoding]);
    sent = encode(body);
    if (draw.chance(0.3)) sent = sent.subarray(0, draw.integer(0, sent.length));
  }
  return { headers, body: sent };
}

const CONTENT_TYPES = [
  "",
  "application/json; charset=utf-8",
  'application/json; charset="UTF-8"',
  "application/json; charset=latin1",
  "application/json; charset=utf-16",
  "application/json; charset=",
  "application/json;;;",
  "application/problem+json",
  "application/vnd.api+json",
  "APPLICATION/JSON",
  "text/json",
  "text/plain",
  "application/x-www-form-urlencoded",
  "multipart/form-data; boundary=x",
  "application/jsonx",
  "json",
  "*/*",
  "application/json, text/plain",
  `application/json; x=${"y".repeat(2_000)}`,
];

/** More than any limit of a body, in a few kilobytes. */
const BOMB = "a".repeat(12 * 1024 * 1024);

const ENCODINGS: readonly (readonly [string, (body: Buffer) => Buffer])[] = [
  ["gzip", (body) => gzipSync(body)],
  ["gzip", (body) => body],
  ["gzip", (body) => Buffer.concat([gzipSync(body), gzipSync(body)])],
  ["gzip", () => bomb()],
  ["x-gzip", (body) => gzipSync(body)],
  ["deflate", (body) => deflateSync(body)],
  ["deflate", (body) => gzipSync(body)],
  ["br", (body) => brotliCompressSync(body)],
  ["br", (body) => body],
  ["zstd", (body) => body],
  ["identity", (body) => body],
  ["gzip, br", (body) => gzipSync(body)],
  ["compress", (body) => body],
  ["GZIP", (body) => gzipSync(body)],
  ["nonsense", (body) => body],
];

let bombBytes: Buffer | undefined;
const bomb = (): Buffer => (bombBytes ??= gzipSync(BOMB));

/** Headers that a call may have beside those of its body and its key. */
export function generateHeaders({ draw, mark, own }: Subject, mutations: string[]): Header[] {
  const headers: Header[] = [];
  if (draw.chance(0.15)) headers.push(["idempotency-key", `${mark}${draw.integer(0, 400)}`]);
  if (!draw.chance(0.25)) return headers;
  const header = draw.pick<Header>([
    ["idempotency-key", ""],
    ["idempotency-key", "k".repeat(255)],
    ["idempotency-key", "k".repeat(256)],
    ["idempotency-key", "\u00e9\u00ff"],
    ["idempotency-key", "a, b"],
    ["if-none-match", "*"],
    ["if-match", '"x"'],
    ["if-modified-since", "Sat, 31 Feb 2026 00:00:00 GMT"],
    ["range", "bytes=0-10,5-"],
    ["accept", "text/html"],
    ["accept", ""],
    ["accept-encoding", "gzip;q=0, *;q=0"],
    ["accept-language", "\u00ff\u00fe"],
    ["x-request-id", `${mark}id`],
    ["x-request-id", "a".repeat(129)],
    ["x-request-id", "a b\tc"],
    ["x-forwarded-for", "203.0.113.1, 127.0.0.1"],
    ["x-forwarded-proto", "https"],
    ["x-forwarded-host", "evil.example"],
    ["forwarded", "for=_secret;proto=https"],
    ["x-http-method-override", "DELETE"],
    ["origin", "https://evil.example"],
    ["referer", "https://evil.example/"],
    ["sec-fetch-site", "cross-site"],
    ["cookie", `postrider_console=${"a".repeat(300)}.1.b`],
    ["cookie", "=;;=;__proto__=1"],
    ["user-agent", "Postrider/0.1.0"],
    ["webhook-id", own.event[0] ?? "evt_x"],
    ["webhook-id", "msg_other"],
    ["expect", "100-continue"],
    ["expect", "nonsense"],
    ["upgrade", "h2c"],
    ["connection", "upgrade, close, keep-alive"],
    ["te", "trailers, deflate"],
    ["trailer", "x-late"],
    ["max-forwards", "0"],
    ["content-language", "x".repeat(6_000)],
    ["x-many", Array.from({ length: 700 }, () => "a").join(", ")],
  ]);
  mutations.push(`${header[0]}: ${header[1].slice(0, 40)}`);
  headers.push(header);
  return headers;
}
