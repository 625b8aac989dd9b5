import { pino, type Logger } from "pino";

export type { Logger };

/** JSON lines on stdout, one object per event, with the process's name in each. Secrets never reach it: callers log ids. */
export function createLogger(app: string, level: string): Logger {
  return pino({
    level,
    base: { app, pid: process.pid },
    timestamp: pino.stdTimeFunctions.isoTime,
    // Errors of drivers carry whole clients with their settings: only what a person reads goes out.
    serializers: { err: describeError },
    formatters: { level: (label) => ({ level: label }) },
  });
}

function describeError(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  return {
    type: error.name,
    message: error.message,
    ...("code" in error ? { code: error.code } : {}),
    stack: error.stack,
  };
}
