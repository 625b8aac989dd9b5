import { DatabaseError } from "pg";

/** SQLSTATE raised by refuse_idempotency_conflict (drizzle/0000_initial.sql). */
export const IDEMPOTENCY_CONFLICT = "PR409";
/** SQLSTATE raised by refuse_expansion_backlog (drizzle/0004_expansions.sql). */
const EXPANSION_BACKLOG = "PR429";
/** SQLSTATE raised by refuse_large_fan_outs (drizzle/0007_accepting.sql). */
const LARGE_FAN_OUTS = "PR413";
/** SQLSTATE raised by note_accepting (drizzle/0007_accepting.sql). */
const OLD_IDS = "PR425";

/** Postgres's own error, directly or wrapped by the query builder. */
const databaseError = (error: unknown): DatabaseError | undefined => {
  const found = error instanceof Error && error.cause instanceof DatabaseError ? error.cause : error;
  return found instanceof DatabaseError ? found : undefined;
};

/** The SQLSTATE of an error that Postgres answered with, also where it is the cause of another one. */
export const sqlState = (error: unknown): string | undefined => databaseError(error)?.code;

export const isIdempotencyConflict = (error: unknown): boolean => sqlState(error) === IDEMPOTENCY_CONFLICT;

/** The event of the statement, from 1, whose tenant has too many unwritten deliveries; undefined for other errors. */
export const expansionBacklogOf = (error: unknown): number | undefined =>
  sqlState(error) === EXPANSION_BACKLOG ? Number(databaseError(error)!.detail) : undefined;

/**
 * The events of the statement, from 1, whose deliveries are too many for it; none if they are too many together;
 * undefined for other errors.
 */
export function largeFanOutsOf(error: unknown): number[] | undefined {
  if (sqlState(error) !== LARGE_FAN_OUTS) return undefined;
  return databaseError(error)!.detail!.split(",").filter(Boolean).map(Number);
}

/** True where the ids of the events were too old by Postgres's clock. */
export const isOldIds = (error: unknown): boolean => sqlState(error) === OLD_IDS;

/** Which event of the statement has the conflict, from 1; 0 if it is a batch's key. */
export const conflictPosition = (error: unknown): number => Number(databaseError(error)?.detail);

/**
 * True where the partition for a row is missing; partitions.ts creates it. Any other check has a name. The message would
 * be in the language of the server.
 */
export function isMissingPartition(error: unknown): boolean {
  const found = databaseError(error);
  return found?.code === "23514" && found.constraint === undefined;
}

/** True where a table of the statement does not exist. */
export const isMissingTable = (error: unknown): boolean => sqlState(error) === "42P01";

/**
 * True where Postgres rolled a statement or transaction back because of a concurrent one (40001 serialization failure,
 * 40P01 deadlock), so that the same one succeeds if it is repeated.
 */
export function isConflict(error: unknown): boolean {
  const state = sqlState(error);
  return state === "40001" || state === "40P01";
}

/**
 * True where the data of one item fails a statement, so that the other items would succeed without it: classes 21
 * (cardinality), 22 (data exception), 23 (constraint), 54 (program limit), and our own refusals.
 * https://www.postgresql.org/docs/current/errcodes-appendix.html
 */
export function isDataError(error: unknown): boolean {
  const state = sqlState(error);
  return state !== undefined && /^(21|22|23|54|PR)/.test(state);
}

/** True where Postgres refuses the statement, whatever its data: a bug, a renamed column, a lost grant. */
export const isRefusedStatement = (error: unknown): boolean => sqlState(error) !== undefined && !isDataError(error);

/**
 * True where a connection's prepared statement is missing (26000) or exists already (42P05), which a pooler between us and
 * Postgres causes, or where its plan no longer fits the table after a migration. The pool closes such a connection.
 */
function isStalePreparedStatement(error: DatabaseError): boolean {
  const { code, routine } = error;
  return code === "26000" || code === "42P05" || (code === "0A000" && routine === "RevalidateCachedQuery");
}

/** True where a statement was ended because it took too long. */
export const isCancelled = (error: unknown): boolean => sqlState(error) === "57014";

/**
 * True where a statement was ended because it took too long (57014) or waited too long for a lock (55P03). One row that
 * another transaction has locked is enough, so other rows may be written meanwhile.
 */
export function isTimeout(error: unknown): boolean {
  return isCancelled(error) || sqlState(error) === "55P03";
}

/** pg's messages for a connection that broke, was refused or timed out. These errors have no code. */
const CONNECTION_ERROR = /connection|timeout|terminated|not queryable|pool after calling end/i;

/**
 * True where Postgres is unreachable or can't serve at the moment, so that the same statement may succeed later:
 * classes 08 (connection), 40 (rollback), 53 (resources), 55 (lock), 57 (operator) and 58 (system), a server that takes
 * no writes (25006: a standby after a failover, a full disk at some providers), a clock that is ahead of ours (PR425), a
 * connection whose prepared statements are wrong, or one that failed before Postgres could answer. Any other error, for
 * example from a bug, would occur again.
 */
export function isUnavailable(error: unknown): boolean {
  const found = databaseError(error);
  if (found?.code !== undefined) {
    return /^(08|25006|40|53|55|57|58|PR425)/.test(found.code) || isStalePreparedStatement(found);
  }
  if (!(error instanceof Error)) return false;
  // A system error: ECONNREFUSED, ECONNRESET, EPIPE, ENOTFOUND …, and not ERR_INVALID_ARG_TYPE.
  const isSystemError = "code" in error && typeof error.code === "string" && /^E[A-Z]+$/.test(error.code);
  return isSystemError || CONNECTION_ERROR.test(error.message) || isUnavailable(error.cause);
}
