// The child's side of ManagedProcess: for processes of benchmarks and chaos runs that take a task and report back.
// The process ends with its parent, however the parent ends.

/** The `task` of the ProcessSpec. */
export const readTask = (): unknown => JSON.parse(process.argv[2]!);

/** @param message an inbox.ts Message: with its `kind`, for which ManagedProcess.next() waits */
export function report(message: object): void {
  process.send!(message);
}

/** @param onOrder called with each message of ManagedProcess.send() */
export function onOrders(onOrder: (order: unknown) => void): void {
  process.on("message", onOrder);
}

process.once("disconnect", () => process.exit());
// An exit and not a death by signal, so that a CPU profile is written.
process.once("SIGTERM", () => process.exit());
