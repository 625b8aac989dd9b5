/** Two interrupts closer together than this are one: `npm run` passes on the interrupt that the terminal sends to everybody. */
const SAME_INTERRUPT_MS = 500;

/**
 * Waits until this process is told to stop: by SIGINT, by SIGTERM, or by losing the supervisor that started it with an
 * IPC channel (a killed supervisor sends no signal, but its channel closes). Signals that follow do no harm, save a
 * second Ctrl-C, which ends the process at once with exit code 130.
 *
 * @returns what told it: `SIGINT`, `SIGTERM` or `lost supervisor`
 */
export function waitForShutdown(): Promise<string> {
  return new Promise((resolve) => {
    let interruptedAt: number | undefined;
    process.on("SIGINT", () => {
      interruptedAt ??= Date.now();
      if (Date.now() - interruptedAt > SAME_INTERRUPT_MS) process.exit(130);
      resolve("SIGINT");
    });
    process.on("SIGTERM", () => resolve("SIGTERM"));
    const lose = () => {
      // Whoever read our output is gone too, and a logger that flushes at exit tries a broken pipe again for ever.
      process.prependListener("exit", () => process.kill(process.pid, "SIGKILL"));
      resolve("lost supervisor");
    };
    // It may have been lost before anybody listened. Undefined where there never was one.
    if ((process.connected as boolean | undefined) === false) lose();
    else process.once("disconnect", lose);
  });
}
