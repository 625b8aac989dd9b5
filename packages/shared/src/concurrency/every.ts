import type { Logger } from "pino";

/**
 * Runs `work` every `intervalMs`, never concurrently. The next interval retries after a failure; only the first of
 * several failures in a row is logged.
 */
export function every(intervalMs: number, name: string, log: Logger, work: () => Promise<unknown>) {
  let running: Promise<void> | undefined;
  let isFailing = false;
  const run = async () => {
    try {
      await work();
      isFailing = false;
    } catch (error) {
      if (!isFailing) log.warn({ err: error }, `${name} failed; retrying at the next interval`);
      isFailing = true;
    } finally {
      running = undefined;
    }
  };
  const trigger = () => void (running ??= run());
  const timer = setInterval(trigger, intervalMs);
  return {
    /** Runs the work now, unless it is already running. */
    trigger,
    async stop() {
      clearInterval(timer);
      await running;
    },
  };
}
