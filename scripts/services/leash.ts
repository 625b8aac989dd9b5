import { type ChildProcess, spawn } from "node:child_process";
import type { Socket } from "node:net";

/**
 * What is to end with us: a file whose first line is the pid, and the signals to send, each with its patience in tenths
 * of a second.
 */
export interface Leashed {
  pidFile: string;
  signals: readonly [name: "TERM" | "INT" | "QUIT" | "KILL", patience: number][];
}

// Waits for the end of its standard input, which comes when the process that holds the other end is gone, however it
// went.
const SCRIPT = `
cat > /dev/null
folder=$1; shift
while [ $# -gt 0 ]; do
  pid=$(head -n 1 "$1" 2> /dev/null); file=$1; shift
  while [ "$1" != -- ]; do
    name=$1; left=$2; shift 2
    [ -n "$pid" ] && kill -s "$name" "$pid" 2> /dev/null || continue
    while [ "$left" -gt 0 ] && kill -0 "$pid" 2> /dev/null; do sleep 0.1; left=$((left - 1)); done
  done
  shift
done
[ -z "$folder" ] || rm -rf "$folder"
`;

/**
 * Ties servers to this process: when it is gone, even by kill -9, they are ended by a small shell that watches it from
 * a session of its own. Servers that are stopped first take their pid files with them, and the watcher has nothing to
 * do.
 *
 * @param folder removed afterwards; undefined keeps everything
 * @returns lets go of them: they are stopped by then, or are to outlive us
 */
export function leash(servers: readonly Leashed[], folder?: string): () => void {
  const args = servers.flatMap(({ pidFile, signals }) => [pidFile, ...signals.flat().map(String), "--"]);
  const watcher: ChildProcess = spawn("/bin/sh", ["-c", SCRIPT, "postrider-leash", folder ?? "", ...args], {
    cwd: "/",
    detached: true,
    stdio: ["pipe", "ignore", "ignore"],
  });
  watcher.unref();
  (watcher.stdin as Socket).unref();
  return () => watcher.kill("SIGTERM");
}
