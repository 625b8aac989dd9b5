import { createBrotliDecompress, createInflate, createUnzip } from "node:zlib";
import type { Dispatcher } from "undici";
import { MAX_RESPONSE_BYTES, safeText } from "@postrider/shared/core/delivery/response-text.ts";
import { describeFailure, type ErrorCode, type Failure } from "./failure.ts";
import { requester, type Requester } from "./requester.ts";

/** `timeoutMs` is for connecting, headers and body together. */
export interface SendRequest extends Requester {
  url: URL;
  headers: Record<string, string>;
  body: Buffer;
}

/** The result of one HTTP request, complete or not. */
export interface Exchange {
  durationMs: number;
  /** Null where no response head arrived. */
  responseStatus: number | null;
  /** At most 16 KiB, safe for Postgres. */
  responseBody: string | null;
  retryAfter: string | undefined;
  /** Why there is no complete response; null where there is one. With a status, it is a note about the body. */
  error: string | null;
  errorCode: ErrorCode | null;
  /** The message of the error, which may have addresses that a tenant must not see. For the log only. */
  errorDetail: string | null;
  /** Nothing was sent for a reason of our own (code `no_lookup`); sending may succeed after this. */
  retryInMs: number | null;
  /** From the request to the response head, and from there to its end; null where no head arrived. */
  phases: { firstByteMs: number; bodyMs: number } | null;
}

/** Makes one HTTP request. It never throws: every failure is an exchange with an error. */
export const send = (agent: Dispatcher, request: SendRequest): Promise<Exchange> =>
  new Promise((resolve) => {
    const { tenant, timeoutMs, url, headers, body } = request;
    const path = `${url.pathname}${url.search}`;
    // Connections keep it, so it must not hold the body.
    requester.run({ tenant, timeoutMs }, () =>
      agent.dispatch(
        { origin: url.origin, path, method: "POST", headers, body },
        new ExchangeHandler(request, resolve),
      ),
    );
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
  #encoding: string | undefined;
  /** Undefined where the response is empty or not compressed. */
  #decoder: ReturnType<typeof decoderFor>;
  readonly #chunks: Buffer[] = [];
  #bytes = 0;
  #isOver = false;

  constructor({ timeoutMs }: SendRequest, resolve: (exchange: Exchange) => void) {
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
    // The deadline passed while connecting.
    if (this.#isOver) controller.abort(ABORTED);
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: Record<string, string | string[] | undefined>,
  ): void {
    if (status < 200) return;
    this.#headAt = performance.now();
    this.#status = status;
    this.#retryAfter = firstValue(headers["retry-after"]);
    this.#encoding = firstValue(headers["content-encoding"]);
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#isOver) return;
    if (this.#encoding !== undefined && this.#bytes === 0) this.#decoder ??= this.#createDecoder(controller);
    if (this.#decoder === undefined) this.#keep(chunk);
    else if (!this.#decoder.write(chunk)) controller.pause();
  }

  onResponseEnd(): void {
    if (this.#decoder === undefined) this.#end(null);
    else if (!this.#isOver) this.#decoder.end();
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#fail(describeFailure(error));
  }

  /**
   * The request forbids encodings. If a receiver compresses anyway, the cap applies to the decoded bytes. A response
   * without a body needs no decoder, whatever its headers say.
   */
  #createDecoder(controller: Dispatcher.DispatchController): ReturnType<typeof decoderFor> {
    const encoding = this.#encoding?.trim().toLowerCase() ?? "";
    return decoderFor(encoding)
      ?.on("data", (chunk: Buffer) => this.#keep(chunk))
      .on("drain", () => controller.resume())
      .on("end", () => this.#end(null))
      .on("error", () => this.#fail({ code: "body", text: `it is not valid ${encoding}` }));
  }

  /** At the cap the exchange ends, and its connection is closed. */
  #keep(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    if (this.#bytes >= MAX_RESPONSE_BYTES) this.#end(null);
  }

  /** After the response head the status decides, and a failure is only a note about the body. */
  #fail(failure: Failure): void {
    if (this.#status === null) this.#end(failure);
    else this.#end({ ...failure, code: "body", text: `the response body is incomplete: ${failure.text}` });
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
      errorDetail: failure?.detail ?? null,
      retryInMs: failure?.retryInMs ?? null,
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
