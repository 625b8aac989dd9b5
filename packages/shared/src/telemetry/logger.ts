import { pino, type Logger } from "pino";

export type { Logger };

/** JSON lines on stdout, one object per event, with the process's name in each. Secrets never reach it: callers log ids. */
export function createLogger(app: string, level: string): Logger {
  return pino({
    level,
    base: { app, pid: process.pid },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
  });
}
