import type { CallerKind } from "../callers.ts";

export type ServerName = "api" | "console" | "admin-ingest" | "admin-worker" | "admin-console";

export interface Piece {
  bytes: Buffer;
  /** A pause before it. */
  afterMs?: number;
}

/** Bytes to send to a server, and what is known about them. */
export interface Call {
  number: number;
  server: ServerName;
  caller: CallerKind;
  /** Of the first request. */
  method: string;
  /** For reports and their grouping. */
  route: string;
  mutations: readonly string[];
  pieces: readonly Piece[];
  /** What the client does when everything is sent; `leave` closes without reading. */
  ending: "read" | "half-close" | "leave";
  /** Whether the server has to answer, or to close the connection. */
  isAnswerDue: boolean;
  /** Needs a connection of its own. */
  isRaw: boolean;
}
