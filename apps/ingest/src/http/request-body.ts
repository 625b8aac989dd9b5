import type { Request, RequestHandler, Response } from "express";
import type { BodyMemory, Reservation } from "./body-memory.ts";
import { Problem } from "./problem.ts";
import { readBody, type BodyFailure } from "./read-body.ts";
import { callerOf } from "./request-locals.ts";

/** Reads JSON bodies as bytes, up to a limit. */
export type BodyReader = (limit: number) => RequestHandler;

/**
 * Reads a JSON body as bytes. Another media type is refused, and so is a body that is too large, before it is read where
 * it announces its length.
 */
export const createBodyReader =
  (memory: BodyMemory, timeoutMs: number): BodyReader =>
  (limit) =>
  (request, response, next) => {
    const { headers } = request;
    const length = Number(headers["content-length"] ?? 0);
    const isChunked = headers["transfer-encoding"] !== undefined;
    if (!isChunked && length === 0) return next();
    const type = headers["content-type"];
    // A client that sends chunks may only find out at the end that there is no body.
    const mustBeEmpty = isChunked && type === undefined;
    if (!mustBeEmpty && !isJson(type)) throw notJson();
    if (!isUtf8(type)) throw new Problem("unsupported_media_type", "the body must be in UTF-8: send no other charset");
    if (length > limit) throw tooLarge();
    // The caller closed the connection while the API key was looked up, so no event will follow.
    if (request.destroyed) throw problemOf({ kind: "cut_off" }, timeoutMs);
    const reservation = memory.reserve(callerOf(response).tenant ?? "", length);
    if (!reservation) throw tooMuch();
    releaseWithResponse(request, response, reservation, timeoutMs);
    // Sent only now, so that a client that waits for it does not send a body that is refused.
    if (headers.expect !== undefined && request.httpVersionMinor > 0) response.writeContinue();
    readBody(request, { limit: mustBeEmpty ? 0 : limit, length, timeoutMs, reservation }, (result) => {
      if (result.kind === "body") {
        request.body = result.body;
        return next();
      }
      next(mustBeEmpty && result.kind === "too_large" ? notJson() : problemOf(result, timeoutMs));
    });
  };

/**
 * Gives the body up when the handler has ended its response, and not only when the client has taken it. A client that
 * does not take it in time loses its connection, because the response is held meanwhile.
 */
function releaseWithResponse(request: Request, response: Response, reservation: Reservation, timeoutMs: number): void {
  let timer: NodeJS.Timeout | undefined;
  const end = response.end.bind(response) as (...args: unknown[]) => Response;
  response.end = (...args: unknown[]) => {
    request.body = undefined;
    reservation.release();
    if (!response.destroyed) timer ??= setTimeout(() => request.socket.destroy(), timeoutMs).unref();
    return end(...args);
  };
  response.once("close", () => {
    clearTimeout(timer);
    reservation.release();
  });
}

/** The body as it was read; empty where there was none. */
export const bytesOf = ({ body }: Request): Buffer => (Buffer.isBuffer(body) ? body : Buffer.alloc(0));

const isJson = (mediaType: string | undefined): boolean =>
  mediaType !== undefined && /^application\/json[ \t]*(;|$)/i.test(mediaType);

/** JSON has no charset (RFC 8259, section 11), but some clients declare one. */
const isUtf8 = (mediaType = ""): boolean =>
  !mediaType.includes(";") ||
  [...mediaType.matchAll(/;[ \t]*charset[ \t]*=[ \t]*"?([^";]*)/gi)].every(([, charset]) =>
    /^utf-?8\s*$/i.test(charset ?? ""),
  );

const tooLarge = () => new Problem("payload_too_large", "the body is larger than this route allows");

const notJson = () => new Problem("unsupported_media_type", "send the header Content-Type: application/json");

const tooMuch = () =>
  new Problem("overloaded", "too many bytes of request bodies are being read: try again", {
    headers: { "retry-after": "1" },
  });

function problemOf({ kind }: { kind: BodyFailure }, timeoutMs: number): Problem {
  switch (kind) {
    case "too_large":
      return tooLarge();
    case "too_much":
      return tooMuch();
    case "timeout":
      return new Problem("request_timeout", `the body did not arrive within ${timeoutMs / 1000} s`);
    case "unknown_encoding":
      return new Problem("unsupported_media_type", "the body may have the Content-Encoding gzip, deflate, br or zstd", {
        headers: { "accept-encoding": "gzip, deflate, br, zstd" },
      });
    case "undecodable":
      return new Problem("invalid_json", "the body does not decode as its Content-Encoding");
    case "cut_off":
      return new Problem("invalid_json", "the body ended early");
  }
}
