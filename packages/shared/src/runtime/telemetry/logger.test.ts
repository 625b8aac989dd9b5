import { expect, test } from "vitest";
import { createLogger } from "./logger.ts";

/** What is written of a line with these fields. */
function written(fields: object): Record<string, unknown> {
  const lines: string[] = [];
  createLogger("worker", "info", { write: (line) => void lines.push(line) }).info(fields, "said");
  expect(lines).toHaveLength(1);
  return JSON.parse(lines[0]!) as Record<string, unknown>;
}

test("a line names its process, its level in words and its time with the zone", () => {
  expect(written({ delivery: "dlv_1" })).toMatchObject({
    app: "worker",
    level: "info",
    pid: process.pid,
    delivery: "dlv_1",
    msg: "said",
    time: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
  });
});

test.each(["authorization", "cookie", "password", "secret", "secrets", "headers", "data", "body", "payload"])(
  "what somebody passes as %s is not written",
  (name) => {
    expect(JSON.stringify(written({ [name]: { deep: "s3cret" } }))).not.toContain("s3cret");
  },
);

test("of an error only what a person reads is written, not what a driver hangs on it", () => {
  const error = Object.assign(new Error("connection refused"), {
    code: "ECONNREFUSED",
    client: { password: "s3cret" },
    detail: "Key (secret)=(s3cret)",
  });
  const { err } = written({ err: error });
  expect(err).toEqual({ type: "Error", message: "connection refused", code: "ECONNREFUSED", stack: error.stack });
});
