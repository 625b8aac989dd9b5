import { now } from "../clock.ts";
import { SettingsError } from "../settings/read.ts";
import { describeError } from "../telemetry/describe-error.ts";
import type { Logger } from "../telemetry/logger.ts";
import { waitForShutdown } from "./shutdown-signal.ts";

export interface RunningApp {
  log: Logger;
  /** Milliseconds after which the process exits although `stop` has not returned. */
  stopDeadlineMs: number;
  stop(): Promise<void>;
}

/**
 * Runs a process: start, wait for a signal, stop, exit. Exit codes: 0 after a signal, 1 if it could not start (the
 * reason is on stderr) or could not stop in time.
 */
export async function runProcess(start: () => Promise<RunningApp>): Promise<void> {
  // BullMQ computes from Date.now() when a delayed job is due, and takes no other clock. A job that a process with a
  // wrong clock delays would be late for all others, and it would find theirs late.
  Date.now = now;
  // Node would print every property of the error, for example the parameters of a statement.
  process.once("uncaughtException", (error) => {
    process.stderr.write(`ended by an unexpected error: ${JSON.stringify(describeError(error))}\n`);
    process.exit(1);
  });
  let app: RunningApp;
  try {
    app = await start();
  } catch (error) {
    const reason = error instanceof SettingsError ? error.message : `could not start: ${describe(error)}`;
    process.stderr.write(`${reason}\n`);
    process.exit(1);
  }
  const signal = await waitForShutdown();
  app.log.info({ signal }, "stopping");
  const overdue = setTimeout(() => {
    app.log.error("could not stop in time; ending the process");
    process.exit(1);
  }, app.stopDeadlineMs);
  await app.stop();
  clearTimeout(overdue);
  app.log.info("stopped");
  process.exit(0);
}

/** Node reports connection errors of several addresses as an AggregateError without a message. */
function describe(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(describe).join("; ");
  if (!(error instanceof Error)) return String(error);
  const { message, stack } = describeError(error) as { message: string; stack?: string };
  return process.env["LOG_LEVEL"] === "debug" ? (stack ?? message) : message;
}
