import type { Request, RequestHandler, Response } from "express";

/** A body that is not read up to this size is discarded, and the connection is kept. */
const MAX_DISCARDED_BYTES = 64 * 1024;
/** How much of a refused body is discarded before the connection is destroyed, and for how long. */
const LINGER = { bytes: 32 * 1024 * 1024, ms: 5_000 };
/** Connections whose bodies are discarded at the same time. Beyond these less is read, and a client may see a reset. */
const MAX_LINGERING = 16;

let lingering = 0;

/** Whether the rest of the body may be larger than is worth discarding to keep the connection. */
export function hasMuchToRead({ complete, headers }: Request): boolean {
  const length = Number(headers["content-length"] ?? 0);
  return !complete && (headers["transfer-encoding"] !== undefined || length > MAX_DISCARDED_BYTES);
}

/**
 * Closes the connection after the response, which may be sent before the body has been read.
 *
 * The client is still sending. If the connection were destroyed at once, the client would be sent a reset, and could
 * lose the response (RFC 9112, 9.6). So only our half of the connection is closed, and for a while what arrives is
 * discarded.
 */
export function closeUnread(request: Request, response: Response): void {
  const { socket } = request;
  response.shouldKeepAlive = false;
  const maxBytes = lingering < MAX_LINGERING ? LINGER.bytes : MAX_DISCARDED_BYTES;
  lingering += 1;
  socket.once("close", () => (lingering -= 1));
  // Otherwise Node would discard the body itself after the response, without a limit.
  let bytes = 0;
  request.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes <= maxBytes) return;
    if (response.writableFinished) socket.destroy();
    else request.pause();
  });
  request.on("error", () => undefined);
  request.resume();
  // Node calls it when it has written a connection's last response.
  socket.destroySoon = () => {
    socket.end();
    const timer = setTimeout(() => socket.destroy(), LINGER.ms);
    socket.once("close", () => clearTimeout(timer));
  };
}

const WITHOUT_BODY = new Set(["GET", "HEAD", "DELETE"]);

/** The routes of these methods read no body. */
export const closeUnreadBodies: RequestHandler = (request, response, next) => {
  if (WITHOUT_BODY.has(request.method) && hasMuchToRead(request)) closeUnread(request, response);
  next();
};
