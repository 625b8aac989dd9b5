import { DrizzleQueryError } from "drizzle-orm/errors";
import { DatabaseError } from "pg";

/**
 * The fields of an error that may be logged. Drivers' errors contain whole clients with their settings, Drizzle's the
 * parameters of the statement in its message and stack, and Postgres's the value that it could not read.
 */
export function describeError(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  if (error instanceof DrizzleQueryError) {
    return { ...(describeError(error.cause ?? new Error("failed query")) as object), statement: error.query };
  }
  const message = error instanceof DatabaseError ? withoutValues(error.message) : error.message;
  return {
    type: error.name,
    message,
    ...("code" in error ? { code: error.code } : {}),
    // The stack begins with the message.
    stack: error.stack?.replace(error.message, () => message),
  };
}

/** Postgres quotes names, as in `column "x" does not exist`, and values after a colon. */
const withoutValues = (message: string): string => message.replace(/: ".*$/s, ': "…"');
