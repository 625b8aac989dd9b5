/**
 * Interrupts within this time count as one: the terminal signals the whole process group, and `npm run` forwards it
 * again.
 */
const SAME_INTERRUPT_MS = 500;

/**
 * Waits for SIGINT, SIGTERM or the loss of the supervisor that started this process with an IPC channel (a killed
 * supervisor sends no signal, but its channel closes). Later signals are ignored, except a second Ctrl-C, which exits
 * immediately with code 130.
 *
 * @returns `SIGINT`, `SIGTERM` or `lost supervisor`
 */
export function waitForShutdown(): Promise<string> {
  return new Promise((resolve) => {
    let interruptedAt: number | undefined;
    process.on("SIGINT", () => {
      interruptedAt ??= performance.now();
      if (performance.now() - interruptedAt > SAME_INTERRUPT_MS) process.exit(130);
      resolve("SIGINT");
    });
    process.on("SIGTERM", () => resolve("SIGTERM"));
    const onSupervisorLost = () => {
      // The reader of our output has exited too. A logger that flushes at exit would retry the broken pipe for ever.
      process.prependListener("exit", () => process.kill(process.pid, "SIGKILL"));
      resolve("lost supervisor");
    };
    // The channel may have closed before this call. `connected` is undefined without a supervisor.
    if ((process.connected as boolean | undefined) === false) onSupervisorLost();
    else process.once("disconnect", onSupervisorLost);
  });
}
