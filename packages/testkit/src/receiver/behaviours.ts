import { gzipSync } from "node:zlib";
import type { Behaviour } from "./request.ts";

interface AnswerOptions {
  headers?: Record<string, string>;
  body?: string | Buffer;
  /** Milliseconds before the response begins. */
  afterMs?: number;
}

export function answer(status: number, { headers = {}, body = "", afterMs = 0 }: AnswerOptions = {}): Behaviour {
  return (_request, response) => {
    const send = () => response.writeHead(status, headers).end(body);
    if (afterMs > 0) setTimeout(send, afterMs);
    else send();
  };
}

/** Answers 503 with a Retry-After of 50 minutes, so that no retry and no probe follows during a test. */
export const unavailableForLong = answer(503, { headers: { "retry-after": "3000" } });

/** Fails the first `times` requests. */
export function failing(times: number, failure: Behaviour, then: Behaviour = answer(200)): Behaviour {
  let left = times;
  return (request, response) => {
    left -= 1;
    (left >= 0 ? failure : then)(request, response);
  };
}

/** Keeps every request waiting until it is opened. */
export function gate(behaviour: Behaviour = answer(200)): Behaviour & { open(): void } {
  const waiting: (() => void)[] = [];
  let isOpen = false;
  const gated: Behaviour = (request, response) => {
    if (isOpen) behaviour(request, response);
    else waiting.push(() => behaviour(request, response));
  };
  const open = () => {
    isOpen = true;
    for (const pass of waiting.splice(0)) pass();
  };
  return Object.assign(gated, { open });
}

/** Never responds. */
export const silence: Behaviour = () => undefined;

/** Good headers at once, and then a byte now and again for ever. */
export function drip(everyMs = 50): Behaviour {
  return (_request, response) => {
    response.writeHead(200, { "content-type": "text/plain" });
    const timer = setInterval(() => response.write("."), everyMs);
    response.on("close", () => clearInterval(timer));
  };
}

/** A 200 whose body never ends, as fast as it is read. */
export const endlessBody: Behaviour = (_request, response) => {
  const chunk = Buffer.alloc(64 * 1024, "x");
  const pump = () => {
    while (!response.destroyed && response.write(chunk));
  };
  response.writeHead(200, { "content-type": "text/plain" }).on("drain", pump);
  pump();
};

/** 64 MiB of the letter A in 64 KiB of gzip, whatever encoding was asked for. */
export function gzipBomb(): Behaviour {
  const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024, "A"));
  return answer(200, { headers: { "content-encoding": "gzip", "content-type": "text/plain" }, body: bomb });
}

/** Resets the TCP connection instead of a response. */
export const reset: Behaviour = (_request, response) => {
  response.socket?.resetAndDestroy();
};

/** Closes the connection before any header. */
export const hangUp: Behaviour = (_request, response) => {
  response.socket?.end();
};

/** Bytes that are not HTTP. */
export const garbage: Behaviour = (_request, response) => {
  response.socket?.end("SSH-2.0-OpenSSH_9.6\r\n\r\n");
};
