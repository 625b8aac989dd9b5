import { createBrotliDecompress, createInflate, createUnzip } from "node:zlib";
import type { Dispatcher } from "undici";
import type { Exchange } from "@postrider/shared/core/delivery/outcome.ts";
import { MAX_RESPONSE_BYTES, safeText } from "@postrider/shared/core/delivery/response-text.ts";
import { AddressNotAllowedError } from "./delivery-agent.ts";

export interface SendRequest {
  url: URL;
  headers: Record<string, string>;
  body: Buffer;
  /** For the whole exchange: connecting, headers and body. */
  timeoutMs: number;
}

/** Why there is no complete response, in a word: few enough to count by. */
type ErrorCode = "timeout" | "dns" | "refused" | "reset" | "unreachable" | "tls" | "blocked" | "other";

interface Problem {
  code: ErrorCode;
  text: string;
}

/** One HTTP exchange, as far as it got. */
export interface SendResult {
  exchange: Exchange;
  durationMs: number;
  responseStatus: number | null;
  /** At most 16 KiB, safe for Postgres. */
  responseBody: string | null;
  /** Why there is no complete response; null where there is one. */
  error: string | null;
  /** The same in a word, of which there are few; null where there is a complete response. */
  errorCode: ErrorCode | null;
  /** From the request to the head of the response, and from there to its end, milliseconds; null where it did not get so far. */
  phases: { firstByteMs: number; bodyMs: number } | null;
}

/** Makes one HTTP request and never throws: whatever goes wrong out there is the result. */
export const send = (agent: Dispatcher, request: SendRequest): Promise<SendResult> =>
  new Promise((resolve) => {
    const { url, headers, body } = request;
    const path = `${url.pathname}${url.search}`;
    agent.dispatch({ origin: url.origin, path, method: "POST", headers, body }, new Sending(request, resolve));
  });

const OVER = new Error("nobody waits for the rest");

/**
 * One request under way, as undici tells of it. `agent.request()` would wrap the response in a stream and the deadline in an
 * abort signal, which together cost more than the rest of an attempt (docs/performance.md).
 */
class Sending implements Dispatcher.DispatchHandler {
  readonly #timeoutMs: number;
  readonly #resolve: (result: SendResult) => void;
  readonly #startedAt = performance.now();
  readonly #deadline: NodeJS.Timeout;
  #controller: Dispatcher.DispatchController | undefined;
  #sentAt = 0;
  #headAt = 0;
  #status: number | null = null;
  #retryAfter: string | undefined;
  /** Undefined where the response is not compressed. */
  #decoder: ReturnType<typeof decoderFor>;
  readonly #chunks: Buffer[] = [];
  #bytes = 0;
  #isOver = false;

  constructor({ timeoutMs }: SendRequest, resolve: (result: SendResult) => void) {
    this.#timeoutMs = timeoutMs;
    this.#resolve = resolve;
    this.#deadline = setTimeout(
      () => this.#fail({ code: "timeout", text: `no complete response within ${this.#timeoutMs} ms` }),
      timeoutMs,
    );
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    this.#sentAt = performance.now();
    // The deadline passed while it was connecting: it is not sent.
    if (this.#isOver) controller.abort(OVER);
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    headers: Record<string, string | string[] | undefined>,
  ): void {
    if (status < 200) return;
    this.#headAt = performance.now();
    this.#status = status;
    this.#retryAfter = one(headers["retry-after"]);
    const encoding = one(headers["content-encoding"]);
    // We ask for no encoding; a receiver that compresses all the same is decoded, and the cap is on what comes out.
    if (encoding !== undefined) this.#decoder = decoderFor(encoding.trim().toLowerCase());
    this.#decoder
      ?.on("data", (chunk: Buffer) => this.#keep(chunk))
      .on("drain", () => controller.resume())
      .on("end", () => this.#complete())
      .on("error", (error) => this.#fail(describe(error)));
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#isOver) return;
    if (this.#decoder === undefined) this.#keep(chunk);
    else if (!this.#decoder.write(chunk)) controller.pause();
  }

  onResponseEnd(): void {
    if (this.#decoder === undefined) this.#complete();
    else if (!this.#isOver) this.#decoder.end();
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    if (error instanceof AddressNotAllowedError) {
      this.#end({ kind: "blocked" }, { code: "blocked", text: error.message });
    } else this.#fail(describe(error));
  }

  /** Up to the cap; the rest of the response is let go with its connection. */
  #keep(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    if (this.#bytes >= MAX_RESPONSE_BYTES) this.#complete();
  }

  #complete(): void {
    this.#end({ kind: "response", status: this.#status!, retryAfter: this.#retryAfter }, null);
  }

  #fail(problem: Problem): void {
    this.#end({ kind: "failed" }, problem);
  }

  #end(exchange: Exchange, problem: Problem | null): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearTimeout(this.#deadline);
    const now = performance.now();
    this.#resolve({
      exchange,
      durationMs: Math.round(now - this.#startedAt),
      responseStatus: this.#status,
      responseBody: this.#status === null ? null : textOf(this.#chunks),
      error: problem && problem.text,
      errorCode: problem && problem.code,
      phases: this.#headAt === 0 ? null : { firstByteMs: this.#headAt - this.#sentAt, bodyMs: now - this.#headAt },
    });
    this.#decoder?.destroy();
    // Does nothing where the response is complete.
    this.#controller?.abort(OVER);
  }
}

const one = (header: string | string[] | undefined): string | undefined => (Array.isArray(header) ? header[0] : header);

function textOf(chunks: readonly Buffer[]): string {
  const bytes = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks);
  return safeText(bytes.subarray(0, MAX_RESPONSE_BYTES));
}

function decoderFor(encoding: string) {
  switch (encoding) {
    case "gzip":
    case "x-gzip":
      return createUnzip();
    case "deflate":
      return createInflate();
    case "br":
      return createBrotliDecompress();
    default:
      return undefined;
  }
}

const REASONS: Readonly<Record<string, Problem>> = {
  ECONNREFUSED: { code: "refused", text: "connection refused" },
  ECONNRESET: { code: "reset", text: "connection reset" },
  EPIPE: { code: "reset", text: "connection reset" },
  UND_ERR_SOCKET: { code: "reset", text: "connection closed before the response was complete" },
  UND_ERR_CONNECT_TIMEOUT: { code: "timeout", text: "no connection within the timeout" },
  ETIMEDOUT: { code: "timeout", text: "no connection within the timeout" },
  ENOTFOUND: { code: "dns", text: "the host name does not resolve" },
  EAI_AGAIN: { code: "dns", text: "the host name does not resolve just now" },
  EHOSTUNREACH: { code: "unreachable", text: "host unreachable" },
  ENETUNREACH: { code: "unreachable", text: "network unreachable" },
};
/** What Node and OpenSSL call trouble with TLS and certificates. */
const OF_TLS = /^(ERR_TLS|ERR_SSL|CERT_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|EPROTO$|HOSTNAME_MISMATCH)/;

const MAX_ERROR_CHARS = 500;

function describe(error: unknown): Problem {
  if (!(error instanceof Error)) return { code: "other", text: String(error).slice(0, MAX_ERROR_CHARS) };
  // Several addresses were dialled: the first one's reason says most.
  const found = error instanceof AggregateError && error.errors[0] instanceof Error ? error.errors[0] : error;
  const code = "code" in found && typeof found.code === "string" ? found.code : undefined;
  const reason = code === undefined ? undefined : REASONS[code];
  const text = reason ? `${reason.text} (${code})` : code ? `${code}: ${found.message}` : found.message || found.name;
  return {
    code: reason?.code ?? (code !== undefined && OF_TLS.test(code) ? "tls" : "other"),
    text: safeText(Buffer.from(text)).slice(0, MAX_ERROR_CHARS),
  };
}
