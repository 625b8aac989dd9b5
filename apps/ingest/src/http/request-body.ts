import express, { type Request, type RequestHandler } from "express";
import { Problem } from "./problem.ts";

/**
 * Reads a JSON body as bytes, up to `limit`. Another media type is refused.
 *
 * Fast path for requests with Content-Length and no encoding, which nearly all event posts are: it collects the chunks
 * itself, because express.raw costs half as much as the rest of the request.
 */
export function rawBody(limit: number): RequestHandler {
  const parse = express.raw({ type: "application/json", limit });
  return (request, response, next) => {
    const { headers } = request;
    const length = Number(headers["content-length"] ?? 0);
    const isChunked = headers["transfer-encoding"] !== undefined;
    if (!isChunked && length === 0) return next();
    if (!isJson(headers["content-type"])) {
      throw new Problem("unsupported_media_type", "send the header Content-Type: application/json");
    }
    if (isChunked || length > limit || headers["content-encoding"] !== undefined) return parse(request, response, next);
    read(request, length, next);
  };
}

/** The body as rawBody read it; empty where there was none. */
export const bytesOf = ({ body }: Request): Buffer => (Buffer.isBuffer(body) ? body : Buffer.alloc(0));

const isJson = (mediaType: string | undefined): boolean =>
  mediaType !== undefined && /^application\/json[ \t]*(;|$)/i.test(mediaType);

/** Node's HTTP parser enforces the content length. */
function read(request: Request, length: number, next: (error?: unknown) => void): void {
  const chunks: Buffer[] = [];
  const onError = () => next(new Problem("invalid_json", "the body ended early"));
  // The caller closed the connection while the API key was looked up, so no event will follow.
  if (request.destroyed) return onError();
  request.on("data", (chunk: Buffer) => chunks.push(chunk));
  request.on("end", () => {
    // From here on a closed connection no longer affects the body.
    request.off("error", onError);
    request.body = chunks.length === 1 ? chunks[0] : Buffer.concat(chunks, length);
    next();
  });
  request.on("error", onError);
}
