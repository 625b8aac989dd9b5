import type { Draw } from "../draw.ts";

/** What may become of a delivery that gets an answer. Its subscription has no retries, so a failure makes it dead. */
export type Fate = "delivered" | "dead" | "gone" | "delayed";

/** Bytes that a receiver sends, and what follows from them. */
export interface Answer {
  number: number;
  label: string;
  pieces: readonly { bytes: Buffer; afterMs: number }[];
  /** What the receiver does after the last piece. */
  ending: "keep" | "close" | "reset" | "silence";
  fates: readonly Fate[];
  /** The status that the attempt has; undefined where a parser may see one or none. */
  status: number | null | undefined;
}

/** An answer without its number. */
export type Unnumbered = Omit<Answer, "number">;
export type AnswerMutation = (draw: Draw) => Unnumbered;

/** The rule: the status line decides, whatever comes after the head. */
export function fatesOf(status: number): Fate[] {
  if (status >= 200 && status <= 299) return ["delivered"];
  return [status === 410 ? "gone" : "dead"];
}

const STATUSES = [200, 201, 202, 204, 206, 226, 299, 300, 301, 302, 307, 308, 304, 400, 401, 404, 405] as const;
const FAILURES = [408, 409, 413, 418, 421, 422, 425, 429, 451, 499, 500, 501, 502, 503, 504, 511, 599] as const;

/** More often a success than not, because receivers that fail are paced. */
export const anyStatus = (draw: Draw): number =>
  draw.weighted<number>([
    [5, 200],
    [3, draw.pick(STATUSES)],
    [2, draw.pick(FAILURES)],
  ]);

export const head = (status: number | string, headers: readonly string[] = [], reason = "OK"): Buffer =>
  Buffer.from(`HTTP/1.1 ${status} ${reason}\r\n${headers.map((one) => `${one}\r\n`).join("")}\r\n`, "latin1");

/** A complete answer whose body has a length. */
export const plain = (status: number, headers: readonly string[] = [], body = "ok"): Buffer => {
  const hasBody = status !== 204 && status !== 304;
  const framing = hasBody ? [`content-length: ${Buffer.byteLength(body)}`] : [];
  return Buffer.concat([head(status, [...headers, ...framing]), Buffer.from(hasBody ? body : "")]);
};
