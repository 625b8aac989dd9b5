import express, { type Request, type RequestHandler } from "express";
import { Problem } from "./problem.ts";

/**
 * Takes the body as bytes, up to `limit`. One of another media type is refused.
 *
 * Who says beforehand how long the body is, and sends it as it is, has it read here, without a copy where it came in one piece: that is all
 * callers who post events, and the parser of Express costs half as much as all the rest of their request.
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

/** The body that was taken; empty where there was none. */
export const bytesOf = ({ body }: Request): Buffer => (Buffer.isBuffer(body) ? body : Buffer.alloc(0));

const isJson = (mediaType: string | undefined): boolean =>
  mediaType !== undefined && /^application\/json[ \t]*(;|$)/i.test(mediaType);

/** Node's HTTP parser sees to it that there are as many bytes as was said. */
function read(request: Request, length: number, next: (error?: unknown) => void): void {
  const chunks: Buffer[] = [];
  const onError = () => next(new Problem("invalid_json", "the body ended early"));
  // Whoever hung up while the API key was looked up is not heard of again.
  if (request.destroyed) return onError();
  request.on("data", (chunk: Buffer) => chunks.push(chunk));
  request.on("end", () => {
    // A caller who hangs up later than this is somebody else's business.
    request.off("error", onError);
    request.body = chunks.length === 1 ? chunks[0] : Buffer.concat(chunks, length);
    next();
  });
  request.on("error", onError);
}
