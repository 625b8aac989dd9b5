import { pino, type DestinationStream, type Logger } from "pino";
import pretty from "pino-pretty";

export type { Logger };

/** Fields with credentials or payloads are never logged, even if a caller passes them. */
const REDACTED = ["authorization", "cookie", "password", "secret", "secrets", "headers", "data", "body", "payload"];

/** pino-pretty's options for terminals: one line per entry, with the local time. */
export const READABLE = {
  ignore: "pid,hostname,app",
  translateTime: "SYS:HH:MM:ss.l",
  singleLine: true,
} as const satisfies pretty.PrettyOptions;

/** Logs one JSON object per line with the process's name, or readable text if stdout is a terminal. */
export function createLogger(app: string, level: string, out: DestinationStream = stdout()): Logger {
  return pino(
    {
      level,
      base: { app, pid: process.pid },
      timestamp: pino.stdTimeFunctions.isoTime,
      redact: { paths: REDACTED, censor: "[redacted]" },
      // Errors of drivers contain whole clients with their settings, so only selected fields are logged.
      serializers: { err: describeError },
      formatters: { level: (label) => ({ level: label }) },
    },
    out,
  );
}

const stdout = (): DestinationStream =>
  process.stdout.isTTY
    ? pretty({ ...READABLE, sync: true, colorize: !process.env["NO_COLOR"] })
    : pino.destination({ dest: 1, sync: true });

function describeError(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  return {
    type: error.name,
    message: error.message,
    ...("code" in error ? { code: error.code } : {}),
    stack: error.stack,
  };
}
