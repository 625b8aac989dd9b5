import { expect, test } from "vitest";
import { createLogger } from "./logger.ts";

/** The log line with these fields. */
function written(fields: object): Record<string, unknown> {
  const lines: string[] = [];
  createLogger("worker", "info", { write: (line) => void lines.push(line) }).info(fields, "a message");
  expect(lines).toHaveLength(1);
  return JSON.parse(lines[0]!) as Record<string, unknown>;
}

test("a line names its process, its level in words and its time with the zone", () => {
  expect(written({ delivery: "dlv_1" })).toMatchObject({
    app: "worker",
    level: "info",
    pid: process.pid,
    delivery: "dlv_1",
    msg: "a message",
    time: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
  });
});

test.each(["authorization", "cookie", "password", "secret", "secrets", "headers", "data", "body", "payload"])(
  "a field %s is redacted",
  (name) => {
    expect(JSON.stringify(written({ [name]: { deep: "s3cret" } }))).not.toContain("s3cret");
  },
);

test("an error is logged without the properties that a driver added", () => {
  const error = Object.assign(new Error("connection refused"), {
    code: "ECONNREFUSED",
    client: { password: "s3cret" },
    detail: "Key (secret)=(s3cret)",
  });
  const { err } = written({ err: error });
  expect(err).toEqual({ type: "Error", message: "connection refused", code: "ECONNREFUSED", stack: error.stack });
});
