interface Killable {
  /** Sends SIGKILL, and never starts the process again. */
  abandon(): void;
}

const running = new Set<Killable>();
let isWatching = false;

/** Kills the process with this one; its IPC channel covers the cases in which this process cannot run a handler. */
export function register(started: Killable): void {
  running.add(started);
  if (isWatching) return;
  isWatching = true;
  process.once("exit", killAllProcesses);
}

export function unregister(ended: Killable): void {
  running.delete(ended);
}

/** Kills whatever the kit has started in this process and has not ended yet. @returns how many there were */
export function killAllProcesses(): number {
  const left = [...running];
  for (const one of left) one.abandon();
  return left.length;
}
