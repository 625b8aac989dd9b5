import pg from "pg";
import { expect, test } from "vitest";
import { isDataError, isUnavailable } from "./errors.ts";

const database = (code: string) => Object.assign(new pg.DatabaseError("refused", 0, "error"), { code });
const system = (code: string) => Object.assign(new Error("connect"), { code });
const wrapped = (cause: Error) => new Error("Failed query", { cause });

test("an unreachable or overloaded Postgres is unavailable, directly or wrapped by the query builder", () => {
  const unavailable = [
    ...["08006", "25006", "40P01", "53300", "57P01", "57P03"].map(database),
    ...["ECONNREFUSED", "ECONNRESET", "EPIPE", "ENOTFOUND"].map(system),
    ...[
      "Connection terminated unexpectedly",
      "timeout exceeded when trying to connect",
      "Query read timeout",
      "Client was closed and is not queryable",
      "Cannot use a pool after calling end on the pool",
    ].map((message) => new Error(message)),
  ];
  for (const error of unavailable) {
    expect(isUnavailable(error), error.message).toBe(true);
    expect(isUnavailable(wrapped(error)), error.message).toBe(true);
    expect(isDataError(error), error.message).toBe(false);
  }
});

test("a bug, or data that Postgres refuses, is not unavailability", () => {
  const permanent = [
    ...["22021", "23505", "42703", "54000"].map(database),
    new Error("a bug"),
    new TypeError("x is not a function"),
    Object.assign(new TypeError("invalid argument"), { code: "ERR_INVALID_ARG_TYPE" }),
  ];
  for (const error of permanent) expect(isUnavailable(error), error.message).toBe(false);
  expect(isUnavailable(undefined)).toBe(false);
});
