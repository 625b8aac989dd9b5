import { createRequire } from "node:module";
import type { Socket } from "node:net";

/** The key under which undici keeps a connection's parser. */
const { kParser } = createRequire(import.meta.url)("undici/lib/core/symbols.js") as { kParser: symbol };

interface Parser {
  onHeadersComplete(status: number, isUpgrade: boolean, shouldKeepAlive: boolean): number;
}

/**
 * Lets a connection ignore `100 Continue`, as RFC 9110, section 15.2, asks of a client that did not expect it. undici
 * ignores every other interim response, but closes the connection at a 100, and has no option for that. So its parser is
 * given a 102 instead.
 *
 * @param socket after undici took it over
 */
export function ignoreContinue(socket: Socket): void {
  const parser = (socket as unknown as Record<symbol, Parser | undefined>)[kParser];
  // With another version of undici, a 100 is a failed attempt again.
  if (typeof parser?.onHeadersComplete === "function") parser.onHeadersComplete = onHeadersComplete;
}

function onHeadersComplete(this: Parser, status: number, isUpgrade: boolean, shouldKeepAlive: boolean): number {
  const original = Object.getPrototypeOf(this) as Parser;
  return original.onHeadersComplete.call(this, status === 100 ? 102 : status, isUpgrade, shouldKeepAlive);
}
