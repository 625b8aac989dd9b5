import type { LookupResult, Unavailable } from "@postrider/shared/runtime/dns/lookup-result.ts";

/** The host has no address, or its name servers do not say. Its code is that of c-ares. */
export class LookupError extends Error {
  readonly code: string;

  constructor(result: Extract<LookupResult, { kind: "not_found" | "failed" }>) {
    super("the host name does not resolve");
    this.name = "LookupError";
    this.code = result.kind === "failed" ? result.code : "ENOTFOUND";
  }
}

const REASONS = {
  no_server: "the DNS servers of this machine do not answer",
  busy: "too many host names are being looked up",
} as const;

/** The host could not be looked up for a reason of our own. Nothing was sent. */
export class NoLookupError extends Error {
  readonly retryInMs: number;

  constructor({ reason, retryInMs }: Unavailable) {
    super(`not sent: ${REASONS[reason]}`);
    this.name = "NoLookupError";
    this.retryInMs = retryInMs;
  }
}
