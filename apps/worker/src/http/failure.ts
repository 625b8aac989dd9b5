import { safeText } from "@postrider/shared/core/delivery/response-text.ts";
import { AddressNotAllowedError, PortNotAllowedError } from "./delivery-agent.ts";
import { LookupError, NoLookupError } from "./lookup-error.ts";

/**
 * Why there is no complete response; a metric label. `blocked`: the address or the port is not allowed, so nothing was
 * sent. `body`: there is a status, but its body was cut off or could not be decoded. `no_lookup`: our own lack, so nothing
 * was sent and it is no attempt.
 */
export type ErrorCode =
  | "timeout"
  | "dns"
  | "refused"
  | "reset"
  | "unreachable"
  | "tls"
  | "http"
  | "blocked"
  | "body"
  | "no_lookup"
  | "other";

export interface Failure {
  code: ErrorCode;
  /** For the tenant: one of a few sentences, so that failures can be grouped by it. */
  text: string;
  /** The error's own message, which may have addresses and lines of source code. For the log. */
  detail?: string;
  /** Of `no_lookup`. */
  retryInMs?: number;
}

/** A failure whose sentence the code of the error completes. */
type Known = readonly [code: ErrorCode, sentence: string];

const TIMEOUT: Known = ["timeout", "no connection within the timeout"];
const RESET: Known = ["reset", "connection reset"];
const UNREACHABLE: Known = ["unreachable", "host unreachable"];
const NO_TLS: Known = ["tls", "the receiver does not speak TLS on this port"];
const SELF_SIGNED: Known = ["tls", "the certificate is self-signed"];
const UNTRUSTED: Known = ["tls", "the certificate is not from a trusted authority, or an intermediate one is missing"];
const OTHER_NAME: Known = ["tls", "the certificate is for another host name"];
const BAD_CERTIFICATE: Known = ["tls", "the certificate is not valid"];
const NO_HANDSHAKE: Known = ["tls", "the TLS handshake failed"];
const NOT_HTTP: Known = ["http", "the response is not valid HTTP"];
const BAD_LENGTH: Known = ["http", "the response body is not as long as its Content-Length"];
const OTHER: Known = ["other", "the request failed"];

/** By the codes of Node, OpenSSL and undici. */
const KNOWN: Readonly<Record<string, Known>> = {
  ECONNREFUSED: ["refused", "connection refused"],
  ECONNRESET: RESET,
  ECONNABORTED: RESET,
  EPIPE: RESET,
  UND_ERR_SOCKET: ["reset", "connection closed before the response was complete"],
  UND_ERR_CONNECT_TIMEOUT: TIMEOUT,
  ETIMEDOUT: TIMEOUT,
  EHOSTUNREACH: UNREACHABLE,
  EHOSTDOWN: UNREACHABLE,
  EACCES: UNREACHABLE,
  EPERM: UNREACHABLE,
  ENETUNREACH: ["unreachable", "network unreachable"],
  ENETDOWN: ["unreachable", "network unreachable"],
  DEPTH_ZERO_SELF_SIGNED_CERT: SELF_SIGNED,
  SELF_SIGNED_CERT_IN_CHAIN: SELF_SIGNED,
  UNABLE_TO_GET_ISSUER_CERT: UNTRUSTED,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: UNTRUSTED,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: UNTRUSTED,
  CERT_UNTRUSTED: UNTRUSTED,
  CERT_HAS_EXPIRED: ["tls", "the certificate has expired"],
  CERT_NOT_YET_VALID: ["tls", "the certificate is not valid yet"],
  CERT_REVOKED: ["tls", "the certificate is revoked"],
  ERR_TLS_CERT_ALTNAME_INVALID: OTHER_NAME,
  HOSTNAME_MISMATCH: OTHER_NAME,
  ERR_SSL_WRONG_VERSION_NUMBER: NO_TLS,
  ERR_SSL_PACKET_LENGTH_TOO_LONG: NO_TLS,
  ERR_SSL_HTTP_REQUEST: NO_TLS,
  EPROTO: NO_HANDSHAKE,
  UND_ERR_HEADERS_OVERFLOW: ["http", "the response headers are larger than 16 KiB"],
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: BAD_LENGTH,
};
/** By how a code begins: there are dozens of each. */
const FAMILIES: readonly (readonly [RegExp, Known])[] = [
  [/^HPE_/, NOT_HTTP],
  [/^ERR_(SSL|TLS)_/, NO_HANDSHAKE],
  [/^(CERT|CRL|UNABLE_TO|INVALID|ERROR_IN|PATH|SUBJECT|AUTHORITY|KEYUSAGE)_/, BAD_CERTIFICATE],
];

const SWITCHED_PROTOCOLS = "the receiver switched protocols, which was not asked (101)";
const LOOKUP_FAILURES: Readonly<Record<string, string>> = {
  ENOTFOUND: "the host name does not resolve",
  ETIMEOUT: "the name servers of the host do not answer",
};

const MAX_DETAIL_CHARS = 500;

/** Never the message of an error: it may have addresses of the network, or be another one each time. */
export function describeFailure(error: unknown): Failure {
  if (error instanceof NoLookupError) return { code: "no_lookup", text: error.message, retryInMs: error.retryInMs };
  if (error instanceof LookupError) {
    const text = LOOKUP_FAILURES[error.code] ?? "the host name does not resolve at the moment";
    return { code: "dns", text: `${text} (${error.code})` };
  }
  // Several addresses were dialled: report the failure of the first.
  const first: unknown = error instanceof AggregateError ? (error.errors[0] ?? error) : error;
  const detail = safeText(Buffer.from(String(first))).slice(0, MAX_DETAIL_CHARS);
  if (first instanceof AddressNotAllowedError) {
    return { code: "blocked", text: "deliveries may not reach the address of the host", detail };
  }
  if (first instanceof PortNotAllowedError) {
    return { code: "blocked", text: "deliveries may not use the port of the URL", detail };
  }
  // A status 101 ends undici's connection with the code of any closed one.
  if (first instanceof Error && first.message === "bad upgrade") return { code: "http", text: SWITCHED_PROTOCOLS };
  const code = codeOf(first);
  const [kind, sentence] = KNOWN[code] ?? FAMILIES.find(([pattern]) => pattern.test(code))?.[1] ?? OTHER;
  return { code: kind, text: code === "" ? sentence : `${sentence} (${code})`, detail };
}

/** The code of an error, if it looks like one. */
function codeOf(error: unknown): string {
  // undici has lost the codes of its parser's errors, and their reasons are in their messages only.
  if (error instanceof Error && error.name === "HTTPParserError") return "HPE_INVALID";
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  return typeof code === "string" && /^[A-Z][A-Z0-9_]{1,60}$/.test(code) ? code : "";
}
