// The side of a benchmark's process that faces the one that started it (see support/child.ts).
/** What this process was told to do. */
export const readTask = (): unknown => JSON.parse(process.argv[2]!);

/** @param message with its `kind`: what Child.next() waits for */
export function tell(message: object): void {
  process.send!(message);
}

/** @param onMessage given each message of Child.send() */
export function hear(onMessage: (message: unknown) => void): void {
  process.on("message", onMessage);
}

process.once("disconnect", () => process.exit());
// An exit and not a death by signal, so that a CPU profile is written.
process.once("SIGTERM", () => process.exit());
