import { DatabaseError } from "pg";

/** SQLSTATE raised by refuse_idempotency_conflict (drizzle/0000_initial.sql). */
export const IDEMPOTENCY_CONFLICT = "PR409";

const sqlState = (error: unknown): string | undefined => {
  const found = error instanceof Error && error.cause instanceof DatabaseError ? error.cause : error;
  return found instanceof DatabaseError ? found.code : undefined;
};

export const isIdempotencyConflict = (error: unknown): boolean => sqlState(error) === IDEMPOTENCY_CONFLICT;

/** True where the partition for a row is missing; partitions.ts creates it. */
export const isMissingPartition = (error: unknown): boolean =>
  sqlState(error) === "23514" && error instanceof Error && error.message.startsWith("no partition of relation");

/** True where a table of the statement does not exist. */
export const isMissingTable = (error: unknown): boolean => sqlState(error) === "42P01";

/**
 * True where the data of one item fails a statement, so that the other items would succeed without it: classes 22 (data
 * exception), 23 (constraint), 54 (program limit), and our own conflict.
 * https://www.postgresql.org/docs/current/errcodes-appendix.html
 */
export function isDataError(error: unknown): boolean {
  const state = sqlState(error);
  return state !== undefined && (/^(22|23|54)/.test(state) || state === IDEMPOTENCY_CONFLICT);
}

/** pg's messages for a connection that broke, was refused or timed out. These errors have no code. */
const CONNECTION_ERROR = /connection|timeout|terminated|not queryable|pool after calling end/i;

/**
 * True where Postgres is unreachable or can't serve at the moment, so that the same statement may succeed later:
 * classes 08 (connection), 40 (rollback), 53 (resources), 55 (lock), 57 (operator) and 58 (system), a server that takes
 * no writes (25006: a standby after a failover, a full disk at some providers), or a connection that failed before
 * Postgres could answer. Any other error, for example from a bug, would occur again.
 */
export function isUnavailable(error: unknown): boolean {
  const state = sqlState(error);
  if (state !== undefined) return /^(08|25006|40|53|55|57|58)/.test(state);
  if (!(error instanceof Error)) return false;
  // A system error: ECONNREFUSED, ECONNRESET, EPIPE, ENOTFOUND …, and not ERR_INVALID_ARG_TYPE.
  const isSystemError = "code" in error && typeof error.code === "string" && /^E[A-Z]+$/.test(error.code);
  return isSystemError || CONNECTION_ERROR.test(error.message) || isUnavailable(error.cause);
}
