import { describe, expect, test } from "vitest";
import { classify, parseRetryAfter } from "./outcome.ts";

const NOW = Date.parse("2026-01-31T12:00:00Z");
const answer = (status: number, retryAfter?: string) =>
  classify({ responseStatus: status, retryAfter, errorCode: null }, NOW);

describe("the outcome of a response", () => {
  test.each([200, 201, 202, 204, 299])("%i is delivered", (status) => {
    expect(answer(status)).toEqual({ kind: "delivered" });
  });

  test.each([300, 301, 302, 304, 307, 308, 400, 401, 403, 404, 408, 409, 418, 425, 429, 451, 500, 502, 503, 504, 599])(
    "%i is retryable",
    (status) => {
      expect(answer(status)).toEqual({ kind: "retryable", retryAfterMs: undefined });
    },
  );

  test("410 is gone", () => expect(answer(410)).toEqual({ kind: "gone" }));

  test("no response is retryable", () => {
    const refused = { responseStatus: null, retryAfter: undefined, errorCode: "refused" };
    expect(classify(refused, NOW)).toEqual({ kind: "retryable", retryAfterMs: undefined });
  });

  test.each([
    [200, { kind: "delivered" }],
    [410, { kind: "gone" }],
    [429, { kind: "retryable", retryAfterMs: 7_000 }],
    [500, { kind: "retryable", retryAfterMs: undefined }],
  ])("%i decides, although its body is incomplete", (responseStatus, outcome) => {
    expect(classify({ responseStatus, retryAfter: "7", errorCode: "body" }, NOW)).toEqual(outcome);
  });

  test("an address that is not allowed is blocked", () => {
    const blocked = { responseStatus: null, retryAfter: undefined, errorCode: "blocked" };
    expect(classify(blocked, NOW)).toEqual({ kind: "blocked" });
  });

  test("Retry-After counts only with 429 and 503", () => {
    expect(answer(429, "7")).toEqual({ kind: "retryable", retryAfterMs: 7_000 });
    expect(answer(503, "7")).toEqual({ kind: "retryable", retryAfterMs: 7_000 });
    expect(answer(500, "7")).toEqual({ kind: "retryable", retryAfterMs: undefined });
    expect(answer(301, "7")).toEqual({ kind: "retryable", retryAfterMs: undefined });
  });
});

describe("Retry-After", () => {
  test("is seconds or an HTTP date", () => {
    expect(parseRetryAfter("0", NOW)).toBe(0);
    expect(parseRetryAfter(" 120 ", NOW)).toBe(120_000);
    expect(parseRetryAfter("Sat, 31 Jan 2026 12:00:30 GMT", NOW)).toBe(30_000);
  });

  test("a date in the past is now", () => {
    expect(parseRetryAfter("Sat, 31 Jan 2026 11:00:00 GMT", NOW)).toBe(0);
  });

  test.each(["", "soon", "-5", "1.5", "1e3", "Jan 2026", "99999999999"])(
    "%j makes no sense and is ignored",
    (header) => {
      expect(parseRetryAfter(header, NOW)).toBeUndefined();
    },
  );
});
