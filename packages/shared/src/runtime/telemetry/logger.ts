import { pino, type DestinationStream, type Logger } from "pino";
import pretty from "pino-pretty";
import { describeError } from "./describe-error.ts";

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
