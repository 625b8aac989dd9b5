import { STATUS_CODES, type Server } from "node:http";
import type { Duplex } from "node:stream";
import type { RequestHandler } from "express";
import { hasBegunResponse } from "@postrider/shared/runtime/listen.ts";
import { newId } from "@postrider/shared/runtime/new-id.ts";
import { Problem, PROBLEMS, problemBody } from "./problem.ts";

/** How long a client may take to read the answer and to close its half of the connection. */
const LINGER_MS = 5_000;

/**
 * Answers what Node's parser refuses, which never reaches a route, in the format of all other errors, and closes the
 * connection.
 */
export function answerProtocolErrors(server: Server): void {
  const refused = new WeakSet<Duplex>();
  server.on("clientError", (error: NodeJS.ErrnoException, socket) => {
    // The parser reports bytes that arrive after the answer, too.
    if (refused.has(socket)) return;
    refused.add(socket);
    if (!socket.writable || error.code === "ECONNRESET" || hasBegunResponse(server, socket)) {
      socket.destroy();
      return;
    }
    socket.end(responseTo(problemOf(error.code)));
    const timer = setTimeout(() => socket.destroy(), LINGER_MS);
    socket.once("close", () => clearTimeout(timer));
  });
  // The routes refuse it, as any other bad request.
  server.on("checkExpectation", (request, response) => server.emit("request", request, response));
}

function problemOf(code: string | undefined): Problem {
  switch (code) {
    case "HPE_HEADER_OVERFLOW":
      return new Problem("headers_too_large", "the request line and the headers are too large");
    case "HPE_CHUNK_EXTENSIONS_OVERFLOW":
      return new Problem("payload_too_large", "the extensions of the body's chunks are too large");
    case "ERR_HTTP_REQUEST_TIMEOUT":
      return new Problem("request_timeout", "the request did not arrive in time");
    default:
      return new Problem("invalid_http", "the request is not valid HTTP/1.1");
  }
}

function responseTo(problem: Problem): string {
  const { status } = PROBLEMS[problem.code];
  const requestId = newId();
  const body = problemBody(problem, requestId);
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    "connection: close",
    "content-type: application/problem+json; charset=utf-8",
    `content-length: ${Buffer.byteLength(body)}`,
    `x-request-id: ${requestId}`,
  ];
  return `${head.join("\r\n")}\r\n\r\n${body}`;
}

/** Refuses a request without `Host`, and one with an expectation that nobody can meet (RFC 9110, 7.2 and 10.1.1). */
export const refuseBadHeads: RequestHandler = ({ headers, httpVersion }, _response, next) => {
  if (headers.host === undefined && httpVersion === "1.1") {
    throw new Problem("invalid_http", "the header Host is missing");
  }
  if (headers.expect !== undefined && headers.expect.toLowerCase() !== "100-continue") {
    throw new Problem("expectation_failed", "the only expectation that is known is 100-continue");
  }
  next();
};
