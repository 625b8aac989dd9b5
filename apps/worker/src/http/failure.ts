import { safeText } from "@postrider/shared/core/delivery/response-text.ts";
import { AddressNotAllowedError } from "./delivery-agent.ts";
import { LookupError, NoLookupError } from "./lookup-error.ts";

/**
 * Why there is no complete response; a metric label. `blocked`: the address is not allowed, so nothing was sent. `body`:
 * there is a status, but its body was cut off or could not be decoded. `no_lookup`: our own lack, so nothing was sent and
 * it is no attempt.
 */
export type ErrorCode =
  | "timeout"
  | "dns"
  | "refused"
  | "reset"
  | "unreachable"
  | "tls"
  | "blocked"
  | "body"
  | "no_lookup"
  | "other";

export interface Failure {
  code: ErrorCode;
  text: string;
  /** Of `no_lookup`. */
  retryInMs?: number;
}

const FAILURES: Readonly<Record<string, Failure>> = {
  ECONNREFUSED: { code: "refused", text: "connection refused" },
  ECONNRESET: { code: "reset", text: "connection reset" },
  EPIPE: { code: "reset", text: "connection reset" },
  UND_ERR_SOCKET: { code: "reset", text: "connection closed before the response was complete" },
  UND_ERR_CONNECT_TIMEOUT: { code: "timeout", text: "no connection within the timeout" },
  ETIMEDOUT: { code: "timeout", text: "no connection within the timeout" },
  EHOSTUNREACH: { code: "unreachable", text: "host unreachable" },
  ENETUNREACH: { code: "unreachable", text: "network unreachable" },
};
const LOOKUP_FAILURES: Readonly<Record<string, string>> = {
  ENOTFOUND: "the host name does not resolve",
  ETIMEOUT: "the name servers of the host do not answer",
};
const SWITCHED_PROTOCOLS: Failure = {
  code: "other",
  text: "the receiver switched protocols, which was not asked (101)",
};
/** Codes of Node and OpenSSL for failures of TLS and certificates. */
const TLS_CODE = /^(ERR_TLS|ERR_SSL|CERT_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|EPROTO$|HOSTNAME_MISMATCH)/;

const MAX_ERROR_CHARS = 500;

export function describeFailure(error: unknown): Failure {
  if (error instanceof AddressNotAllowedError) return { code: "blocked", text: error.message };
  if (error instanceof NoLookupError) return { code: "no_lookup", text: error.message, retryInMs: error.retryInMs };
  if (error instanceof LookupError) {
    const text = LOOKUP_FAILURES[error.code] ?? "the host name does not resolve at the moment";
    return { code: "dns", text: `${text} (${error.code})` };
  }
  if (!(error instanceof Error)) return { code: "other", text: String(error).slice(0, MAX_ERROR_CHARS) };
  // Several addresses were dialled: report the failure of the first.
  const first = error instanceof AggregateError && error.errors[0] instanceof Error ? error.errors[0] : error;
  const code = "code" in first && typeof first.code === "string" ? first.code : undefined;
  // A status 101 ends undici's connection with the code of any closed one.
  if (first.message === "bad upgrade") return SWITCHED_PROTOCOLS;
  const known = code === undefined ? undefined : FAILURES[code];
  const text = known ? `${known.text} (${code})` : code ? `${code}: ${first.message}` : first.message || first.name;
  return {
    code: known?.code ?? (code !== undefined && TLS_CODE.test(code) ? "tls" : "other"),
    text: safeText(Buffer.from(text)).slice(0, MAX_ERROR_CHARS),
  };
}
