import type { Response } from "express";
import type { Caller } from "./caller.ts";
import type { ProblemCode } from "./problem.ts";

/** What a request's log line shows beside the request itself. */
interface Annotations {
  /** The events that the request stored, or repeated by their idempotency key. */
  eventIds?: readonly string[];
  /** Why the request was refused. */
  code?: ProblemCode;
}

interface RequestLocals extends Annotations {
  caller?: Caller;
}

/** `response.locals`, typed. */
export const localsOf = (response: Response): RequestLocals => response.locals;

/** The authenticated caller. Every route below `/v1` has one. */
export const callerOf = (response: Response): Caller => localsOf(response).caller!;

export const annotateRequestLog = (response: Response, annotations: Annotations): void =>
  void Object.assign(localsOf(response), annotations);
