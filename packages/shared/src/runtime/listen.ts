import type { Server } from "node:http";
import type { AddressInfo } from "node:net";

/**
 * Listens on the first free port of the candidates.
 *
 * @returns the port
 * @throws Error if no port is free or the address is not available
 */
export async function listen(server: Server, host: string, candidates: readonly number[]): Promise<number> {
  for (const [index, port] of candidates.entries()) {
    const error = await tryListen(server, host, port);
    if (!error) return (server.address() as AddressInfo).port;
    const isLast = index === candidates.length - 1;
    if (error.code !== "EADDRINUSE" || isLast) throw error;
  }
  throw new Error("no port to listen on was given");
}

function tryListen(server: Server, host: string, port: number): Promise<NodeJS.ErrnoException | undefined> {
  return new Promise((resolve) => {
    const onError = (error: NodeJS.ErrnoException) => resolve(error);
    server.once("error", onError);
    server.listen(port, host, () => {
      server.off("error", onError);
      resolve(undefined);
    });
  });
}

/** Refuses new connections, waits for the requests under way until the deadline, then closes their connections. */
export async function closeServer(server: Server, deadlineMs: number): Promise<void> {
  if (!server.listening) return;
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeIdleConnections();
  const overdue = setTimeout(() => server.closeAllConnections(), deadlineMs);
  await closed;
  clearTimeout(overdue);
}
