/** The part of a response body that is read and stored. */
export const MAX_RESPONSE_BYTES = 16 * 1024;

const utf8 = new TextDecoder("utf-8", { fatal: false, ignoreBOM: true });

/**
 * Decodes any bytes to a text that Postgres can store. Invalid UTF-8 becomes U+FFFD, and so does NUL, which
 * PostgreSQL's `text` can't hold.
 */
export const safeText = (bytes: Uint8Array): string => utf8.decode(bytes).replaceAll("\0", "\uFFFD");
