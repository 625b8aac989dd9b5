import { type ChildProcess, spawn } from "node:child_process";
import type { Socket } from "node:net";

/**
 * A server to stop: a file with its pid in the first line, and signals, each with its timeout in tenths of a second.
 */
export interface StoppableServer {
  pidFile: string;
  signals: readonly [name: "TERM" | "INT" | "QUIT" | "KILL", timeout: number][];
}

const SCRIPT = `
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
 * Stops servers when this process ends, even by kill -9: a shell in a session of its own watches it. Servers that are
 * stopped earlier remove their pid files, so the shell finds nothing to stop.
 *
 * @param folder removed afterwards; undefined keeps everything
 * @returns cancels it, for servers that are stopped already or outlive this process
 */
export function stopWithParent(servers: readonly StoppableServer[], folder?: string): () => void {
  const args = servers.flatMap(({ pidFile, signals }) => [pidFile, ...signals.flat().map(String), "--"]);
  return runAfterParent(SCRIPT, [folder ?? "", ...args]);
}

/** Runs a shell script when this process ends, even by kill -9, in a session of its own. @returns cancels it */
export function runAfterParent(script: string, args: readonly string[]): () => void {
  // Standard input ends when the parent process exits, even by kill -9.
  const command = ["-c", `cat > /dev/null\n${script}`, "postrider-stop-with-parent", ...args];
  const watcher: ChildProcess = spawn("/bin/sh", command, {
    cwd: "/",
    detached: true,
    stdio: ["pipe", "ignore", "ignore"],
  });
  watcher.unref();
  (watcher.stdin as Socket).unref();
  return () => watcher.kill("SIGTERM");
}
