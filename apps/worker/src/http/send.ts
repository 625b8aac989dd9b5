import { pipeline, type Readable } from "node:stream";
import { createBrotliDecompress, createInflate, createUnzip } from "node:zlib";
import type { Dispatcher } from "undici";
import type { Exchange } from "@postrider/shared/core/outcome.ts";
import { MAX_RESPONSE_BYTES, safeText } from "@postrider/shared/core/response-text.ts";
import { AddressNotAllowedError } from "./delivery-agent.ts";

export interface SendRequest {
  url: URL;
  headers: Record<string, string>;
  body: string;
  /** For the whole exchange: connecting, headers and body. */
  timeoutMs: number;
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
}

/** Makes one HTTP request and never throws: whatever goes wrong out there is the result. */
export async function send(agent: Dispatcher, request: SendRequest): Promise<SendResult> {
  const startedAt = performance.now();
  const deadline = new AbortController();
  const timer = setTimeout(() => deadline.abort(), request.timeoutMs);
  let status: number | null = null;
  const chunks: Buffer[] = [];
  const result = (exchange: Exchange, error: string | null): SendResult => ({
    exchange,
    durationMs: Math.round(performance.now() - startedAt),
    responseStatus: status,
    responseBody: status === null ? null : safeText(Buffer.concat(chunks).subarray(0, MAX_RESPONSE_BYTES)),
    error,
  });
  try {
    const response = await agent.request({
      origin: request.url.origin,
      path: `${request.url.pathname}${request.url.search}`,
      method: "POST",
      headers: request.headers,
      body: request.body,
      signal: deadline.signal,
    });
    status = response.statusCode;
    await readCapped(decoded(response.body, response.headers["content-encoding"]), chunks);
    const retryAfter = response.headers["retry-after"];
    return result(
      { kind: "response", status, retryAfter: Array.isArray(retryAfter) ? retryAfter[0] : retryAfter },
      null,
    );
  } catch (error) {
    if (error instanceof AddressNotAllowedError) return result({ kind: "blocked" }, error.message);
    const reason = deadline.signal.aborted ? `no complete response within ${request.timeoutMs} ms` : describe(error);
    return result({ kind: "failed" }, reason);
  } finally {
    clearTimeout(timer);
  }
}

/** Reads up to the cap, then lets the rest of the response go with its connection. */
async function readCapped(body: Readable, chunks: Buffer[]): Promise<void> {
  let bytes = 0;
  for await (const chunk of body) {
    chunks.push(chunk as Buffer);
    bytes += (chunk as Buffer).length;
    // Leaving the loop destroys the stream, and with it the connection.
    if (bytes >= MAX_RESPONSE_BYTES) break;
  }
}

/** We ask for no encoding; a receiver that compresses all the same is decoded, and the cap is on what comes out. */
function decoded(body: Readable, encoding: string | string[] | undefined): Readable {
  const decoder = decoderFor(
    String(encoding ?? "identity")
      .trim()
      .toLowerCase(),
  );
  // An error of either stream reaches the reader through the decoder.
  return decoder ? pipeline(body, decoder, () => undefined) : body;
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

const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: "connection refused",
  ECONNRESET: "connection reset",
  EPIPE: "connection reset",
  UND_ERR_SOCKET: "connection closed before the response was complete",
  UND_ERR_CONNECT_TIMEOUT: "no connection within the timeout",
  ENOTFOUND: "the host name does not resolve",
  EAI_AGAIN: "the host name does not resolve just now",
  EHOSTUNREACH: "host unreachable",
  ENETUNREACH: "network unreachable",
};

const MAX_ERROR_CHARS = 500;

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error).slice(0, MAX_ERROR_CHARS);
  // Several addresses were dialled: the first one's reason says most.
  const found = error instanceof AggregateError && error.errors[0] instanceof Error ? error.errors[0] : error;
  const code = "code" in found && typeof found.code === "string" ? found.code : undefined;
  const reason = code === undefined ? undefined : REASONS[code];
  const text = reason ? `${reason} (${code})` : code ? `${code}: ${found.message}` : found.message || found.name;
  return safeText(Buffer.from(text)).slice(0, MAX_ERROR_CHARS);
}
