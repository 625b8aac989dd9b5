/** How much of a response is read and kept. */
export const MAX_RESPONSE_BYTES = 16 * 1024;

const utf8 = new TextDecoder("utf-8", { fatal: false, ignoreBOM: true });

/**
 * Bytes of any kind as a text that Postgres takes: what is not UTF-8 becomes U+FFFD, and so does NUL, which
 * PostgreSQL's `text` cannot hold and which would fail the insert.
 */
export const safeText = (bytes: Uint8Array): string => utf8.decode(bytes).replaceAll("\0", "\uFFFD");
