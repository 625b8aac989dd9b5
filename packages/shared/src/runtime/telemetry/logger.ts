import { pino, type DestinationStream, type Logger } from "pino";
import pretty from "pino-pretty";

export type { Logger };

/** What opens something, and what events and subscribers say: never in a line, even if a caller passes it. */
const REDACTED = ["authorization", "cookie", "password", "secret", "secrets", "headers", "data", "body", "payload"];

/** How a line is shown to a person: on one line, with the time of the place. */
export const READABLE = {
  ignore: "pid,hostname,app",
  translateTime: "SYS:HH:MM:ss.l",
  singleLine: true,
} as const satisfies pretty.PrettyOptions;

/** JSON lines, one object per event, with the process's name in each; where stdout is a terminal, text for a person. */
export function createLogger(app: string, level: string, out: DestinationStream = stdout()): Logger {
  return pino(
    {
      level,
      base: { app, pid: process.pid },
      timestamp: pino.stdTimeFunctions.isoTime,
      redact: { paths: REDACTED, censor: "[redacted]" },
      // Errors of drivers carry whole clients with their settings: only what a person reads goes out.
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
