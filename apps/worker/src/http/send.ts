import { createBrotliDecompress, createInflate, createUnzip } from "node:zlib";
import type { Dispatcher } from "undici";
import { MAX_RESPONSE_BYTES, safeText } from "@postrider/shared/core/delivery/response-text.ts";
import { AddressNotAllowedError } from "./delivery-agent.ts";

export interface SendRequest {
  url: URL;
  headers: Record<string, string>;
  body: Buffer;
  /** For the whole exchange: connecting, headers and body. */
  timeoutMs: number;
}

/** Why there is no complete response; a metric label. `blocked`: the address is not allowed, so nothing was sent. */
type ErrorCode = "timeout" | "dns" | "refused" | "reset" | "unreachable" | "tls" | "blocked" | "other";

/** The result of one HTTP request, complete or not. */
export interface Exchange {
  durationMs: number;
  /** Null where no response head arrived. */
  responseStatus: number | null;
  /** At most 16 KiB, safe for Postgres. */
  responseBody: string | null;
  retryAfter: string | undefined;
  /** Why there is no complete response; null where there is one. */
  error: string | null;
  errorCode: ErrorCode | null;
  /** From the request to the response head, and from there to its end; null where no head arrived. */
  phases: { firstByteMs: number; bodyMs: number } | null;
}

/** Makes one HTTP request. It never throws: every failure is an exchange with an error. */
export const send = (agent: Dispatcher, request: SendRequest): Promise<Exchange> =>
  new Promise((resolve) => {
    const { url, headers, body } = request;
    const path = `${url.pathname}${url.search}`;
    agent.dispatch({ origin: url.origin, path, method: "POST", headers, body }, new ExchangeHandler(request, resolve));
  });

/** Closes a connection whose response is no longer needed. */
const ABORTED = new Error("the rest of the response is not needed");

/**
 * undici's handler of one request. `agent.request()` would wrap the response in a stream and the deadline in an abort
 * signal, which together cost more than the rest of an attempt (docs/performance.md).
 */
class ExchangeHandler implements Dispatcher.DispatchHandler {
  readonly #timeoutMs: number;
  readonly #resolve: (exchange: Exchange) => void;
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

  constructor({ timeoutMs }: SendRequest, resolve: (exchange: Exchange) => void) {
    this.#timeoutMs = timeoutMs;
    this.#resolve = resolve;
    this.#deadline = setTimeout(
      () => this.#end({ code: "timeout", text: `no complete response within ${this.#timeoutMs} ms` }),
      timeoutMs,
    );
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    this.#sentAt = performance.now();
    // The deadline passed while connecting.
    if (this.#isOver) controller.abort(ABORTED);
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    headers: Record<string, string | string[] | undefined>,
  ): void {
    if (status < 200) return;
    this.#headAt = performance.now();
    this.#status = status;
    this.#retryAfter = firstValue(headers["retry-after"]);
    const encoding = firstValue(headers["content-encoding"]);
    // The request forbids encodings. If a receiver compresses anyway, the cap applies to the decoded bytes.
    if (encoding !== undefined) this.#decoder = decoderFor(encoding.trim().toLowerCase());
    this.#decoder
      ?.on("data", (chunk: Buffer) => this.#keep(chunk))
      .on("drain", () => controller.resume())
      .on("end", () => this.#end(null))
      .on("error", (error) => this.#end(describe(error)));
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#isOver) return;
    if (this.#decoder === undefined) this.#keep(chunk);
    else if (!this.#decoder.write(chunk)) controller.pause();
  }

  onResponseEnd(): void {
    if (this.#decoder === undefined) this.#end(null);
    else if (!this.#isOver) this.#decoder.end();
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    if (error instanceof AddressNotAllowedError) {
      this.#end({ code: "blocked", text: error.message });
    } else this.#end(describe(error));
  }

  /** At the cap the exchange ends, and its connection is closed. */
  #keep(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    if (this.#bytes >= MAX_RESPONSE_BYTES) this.#end(null);
  }

  #end(failure: Failure | null): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearTimeout(this.#deadline);
    const now = performance.now();
    this.#resolve({
      durationMs: Math.round(now - this.#startedAt),
      responseStatus: this.#status,
      responseBody: this.#status === null ? null : textOf(this.#chunks),
      retryAfter: this.#retryAfter,
      error: failure && failure.text,
      errorCode: failure && failure.code,
      phases: this.#headAt === 0 ? null : { firstByteMs: this.#headAt - this.#sentAt, bodyMs: now - this.#headAt },
    });
    this.#decoder?.destroy();
    // Does nothing where the response is complete.
    this.#controller?.abort(ABORTED);
  }
}

const firstValue = (header: string | string[] | undefined): string | undefined =>
  Array.isArray(header) ? header[0] : header;

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

interface Failure {
  code: ErrorCode;
  text: string;
}

const FAILURES: Readonly<Record<string, Failure>> = {
  ECONNREFUSED: { code: "refused", text: "connection refused" },
  ECONNRESET: { code: "reset", text: "connection reset" },
  EPIPE: { code: "reset", text: "connection reset" },
  UND_ERR_SOCKET: { code: "reset", text: "connection closed before the response was complete" },
  UND_ERR_CONNECT_TIMEOUT: { code: "timeout", text: "no connection within the timeout" },
  ETIMEDOUT: { code: "timeout", text: "no connection within the timeout" },
  ENOTFOUND: { code: "dns", text: "the host name does not resolve" },
  EAI_AGAIN: { code: "dns", text: "the host name does not resolve at the moment" },
  EHOSTUNREACH: { code: "unreachable", text: "host unreachable" },
  ENETUNREACH: { code: "unreachable", text: "network unreachable" },
};
/** Codes of Node and OpenSSL for failures of TLS and certificates. */
const TLS_CODE = /^(ERR_TLS|ERR_SSL|CERT_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|EPROTO$|HOSTNAME_MISMATCH)/;

const MAX_ERROR_CHARS = 500;

function describe(error: unknown): Failure {
  if (!(error instanceof Error)) return { code: "other", text: String(error).slice(0, MAX_ERROR_CHARS) };
  // Several addresses were dialled: report the failure of the first.
  const first = error instanceof AggregateError && error.errors[0] instanceof Error ? error.errors[0] : error;
  const code = "code" in first && typeof first.code === "string" ? first.code : undefined;
  const known = code === undefined ? undefined : FAILURES[code];
  const text = known ? `${known.text} (${code})` : code ? `${code}: ${first.message}` : first.message || first.name;
  return {
    code: known?.code ?? (code !== undefined && TLS_CODE.test(code) ? "tls" : "other"),
    text: safeText(Buffer.from(text)).slice(0, MAX_ERROR_CHARS),
  };
}
