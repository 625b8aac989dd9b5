/** What an attempt means for its delivery. A subscriber's 500 is an outcome, not an error. */
export type Outcome =
  | { kind: "delivered" }
  | { kind: "retryable"; retryAfterMs: number | undefined }
  | { kind: "gone" }
  | { kind: "blocked" };

/**
 * Classifies an HTTP exchange. The status decides, even where the body was cut off or could not be decoded: a receiver
 * that answers 2xx has the event.
 *
 * @param exchange `errorCode` is `blocked` if the address is not allowed and nothing was sent
 * @param now Unix milliseconds, for a `Retry-After` that is a date
 */
export function classify(
  exchange: { responseStatus: number | null; retryAfter: string | undefined; errorCode: string | null },
  now: number,
): Outcome {
  const { responseStatus: status, retryAfter, errorCode } = exchange;
  if (status === null) {
    return errorCode === "blocked" ? { kind: "blocked" } : { kind: "retryable", retryAfterMs: undefined };
  }
  if (status >= 200 && status <= 299) return { kind: "delivered" };
  if (status === 410) return { kind: "gone" };
  const hasRetryAfter = status === 429 || status === 503;
  return { kind: "retryable", retryAfterMs: hasRetryAfter ? parseRetryAfter(retryAfter, now) : undefined };
}

/**
 * Parses `Retry-After`: seconds, or an HTTP date (RFC 9110, section 10.2.3).
 *
 * @returns milliseconds from now, at least 0; undefined if it is absent or invalid
 */
export function parseRetryAfter(header: string | undefined, now: number): number | undefined {
  if (header === undefined) return undefined;
  const text = header.trim();
  if (/^\d{1,10}$/.test(text)) return Number(text) * 1000;
  // An HTTP date begins with its weekday; Date.parse alone would also accept "1" or "2026".
  if (!/^(Mon|Tue|Wed|Thu|Fri|Sat|Sun)/.test(text)) return undefined;
  const date = Date.parse(text);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}
