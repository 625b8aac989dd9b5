import { expect, test } from "vitest";
import type { Answer } from "./answer.ts";
import { isUnserved, judgeDelivery, StoredDelivery } from "./judge-delivery.ts";

const answer = { number: 1, label: "plain", pieces: [], ending: "keep", status: 200 } as const;
const ok: Answer = { ...answer, fates: ["delivered"] };
const failure: Answer = { ...answer, fates: ["dead"], status: undefined };

const dead = (error: string, deadReason = "exhausted") =>
  new StoredDelivery({
    number: 1,
    state: "dead",
    deadReason,
    attemptCount: 1,
    lastError: error,
    delayMs: null,
    attempts: [{ status: null, error, bodyLength: null }],
  });

test("a request on a closed connection is excused, and counted", () => {
  for (const error of [
    "connection reset (ECONNRESET)",
    "connection closed before the response was complete (UND_ERR_SOCKET)",
  ]) {
    expect(judgeDelivery(ok, dead(error), 0)).toEqual([]);
    expect(isUnserved(dead(error), 0)).toBe(true);
    expect(isUnserved(dead(error), 1)).toBe(false);
  }
});

test.each([
  ["deliveries may not reach the address of the host", "blocked"],
  ["connection refused (ECONNREFUSED)", "exhausted"],
  ["no connection within the timeout (UND_ERR_CONNECT_TIMEOUT)", "exhausted"],
])("a delivery that was never sent is found: %s", (error, reason) => {
  expect(isUnserved(dead(error, reason), 0)).toBe(false);
  for (const one of [ok, failure]) expect(judgeDelivery(one, dead(error, reason), 0)).not.toEqual([]);
});
