import type { Logger } from "pino";

/** Runs `work` every `intervalMs`, never twice at once; a failure is logged once per outage and the next turn tries again. */
export function every(intervalMs: number, name: string, log: Logger, work: () => Promise<unknown>) {
  let running: Promise<void> | undefined;
  let failing = false;
  const run = async () => {
    try {
      await work();
      failing = false;
    } catch (error) {
      if (!failing) log.warn({ err: error }, `${name} failed; it runs again`);
      failing = true;
    } finally {
      running = undefined;
    }
  };
  const trigger = () => void (running ??= run());
  const timer = setInterval(trigger, intervalMs);
  return {
    /** Runs it now, unless it is running. */
    trigger,
    async stop() {
      clearInterval(timer);
      await running;
    },
  };
}
