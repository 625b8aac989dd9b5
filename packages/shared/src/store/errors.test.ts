import pg from "pg";
import { expect, test } from "vitest";
import { isConflict, isDataError, isMissingPartition, isUnavailable } from "./errors.ts";

const database = (code: string) => Object.assign(new pg.DatabaseError("refused", 0, "error"), { code });
const system = (code: string) => Object.assign(new Error("connect"), { code });
const wrapped = (cause: Error) => new Error("Failed query", { cause });

test("an unreachable or overloaded Postgres is unavailable, directly or wrapped by the query builder", () => {
  const unavailable = [
    ...["08006", "25006", "26000", "40P01", "42P05", "53300", "57P01", "57P03"].map(database),
    Object.assign(database("0A000"), { routine: "RevalidateCachedQuery" }),
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
    ...["0A000", "22021", "23505", "42703", "54000"].map(database),
    new Error("a bug"),
    new TypeError("x is not a function"),
    Object.assign(new TypeError("invalid argument"), { code: "ERR_INVALID_ARG_TYPE" }),
  ];
  for (const error of permanent) expect(isUnavailable(error), error.message).toBe(false);
  expect(isUnavailable(undefined)).toBe(false);
});

test("only a serialization failure and a deadlock are conflicts, directly or wrapped", () => {
  for (const code of ["40001", "40P01"]) {
    expect(isConflict(database(code))).toBe(true);
    expect(isConflict(wrapped(database(code)))).toBe(true);
  }
  for (const code of ["40002", "40003", "25006", "23505", "57014"]) expect(isConflict(database(code))).toBe(false);
  expect(isConflict(new Error("40001"))).toBe(false);
});

test("a missing partition is recognised whatever the server's language, and a failed check is none", () => {
  const german = new pg.DatabaseError("keine Partition von Relation »events« für die Zeile gefunden", 0, "error");
  expect(isMissingPartition(Object.assign(german, { code: "23514", table: "events" }))).toBe(true);
  const check = { code: "23514", table: "deliveries", constraint: "deliveries_state_check" };
  expect(isMissingPartition(Object.assign(new pg.DatabaseError("refused", 0, "error"), check))).toBe(false);
});
