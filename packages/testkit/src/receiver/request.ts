import type { IncomingHttpHeaders, ServerResponse } from "node:http";
import { Webhook } from "standardwebhooks";

/** One HTTP request, as it came. */
export interface Received {
  method: string;
  /** Path and query. */
  url: string;
  headers: IncomingHttpHeaders;
  /** Byte for byte. */
  body: Buffer;
  /** When its headers had arrived, Unix milliseconds. */
  at: number;
  /** The endpoint's first request is 1. */
  number: number;
  /** The status of the response, once it has been sent in full. */
  status?: number;
  /** The connection closed before the response was sent in full. */
  cutShort: boolean;
}

/** How an endpoint responds to a request that has arrived in full. */
export type Behaviour = (request: Received, response: ServerResponse) => void;

/** Whether the reference library of Standard Webhooks accepts the request under this secret. */
export function isSignedWith(request: Pick<Received, "body" | "headers">, secret: string): boolean {
  try {
    new Webhook(secret).verify(request.body, request.headers as Record<string, string>);
    return true;
  } catch {
    return false;
  }
}

/** The id of the event that a request delivers. */
export const eventOf = (request: Received | undefined): string => String(request?.headers["webhook-id"]);

/** Milliseconds from each request to the next. */
export const gapsBetween = (requests: readonly Received[]): number[] =>
  requests.slice(1).map((one, index) => one.at - (requests[index]?.at ?? 0));
