import { createServer, type RequestListener, type Server, type ServerOptions, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import type { ServerSettings } from "./settings/server.ts";

/** Node's default for a whole request with its body. */
const REQUEST_TIMEOUT_MS = 300_000;
/** The responses under way on each connection of a public server. */
const underWay = new WeakMap<Server, Map<Duplex, Set<ServerResponse>>>();

/**
 * Creates a public server. It keeps idle connections for longer than a load balancer does, so that it never closes one
 * just when the load balancer sends a request on it.
 */
export const createPublicServer = (
  { keepAliveTimeoutMs, headersTimeoutMs }: Pick<ServerSettings, "keepAliveTimeoutMs" | "headersTimeoutMs">,
  listener: RequestListener,
  options: ServerOptions = {},
): Server => {
  const server = createServer({
    ...options,
    keepAliveTimeout: keepAliveTimeoutMs,
    headersTimeout: headersTimeoutMs,
    requestTimeout: Math.max(REQUEST_TIMEOUT_MS, headersTimeoutMs),
  });
  const connections = new Map<Duplex, Set<ServerResponse>>();
  underWay.set(server, connections);
  server.on("connection", (socket) => {
    const responses = new Set<ServerResponse>();
    connections.set(socket, responses);
    socket.once("close", () => {
      connections.delete(socket);
      // A pipelined request's response has no socket while it waits for its turn, and Node forgets it in silence.
      for (const response of responses) if (response.socket === null) response.emit("close");
    });
  });
  server.on("request", ({ socket }, response) => {
    const responses = connections.get(socket);
    responses?.add(response);
    response.once("close", () => responses?.delete(response));
  });
  return server.on("request", listener);
};

/** Whether a part of a response may be on its way, so that nothing else can be sent on the connection. */
export const hasBegunResponse = (server: Server, socket: Duplex): boolean =>
  [...(underWay.get(server)?.get(socket) ?? [])].some((response) => response.socket === socket && response.headersSent);

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

/** From now on each response is the last one of its connection, so that clients connect to another process. */
export function drainConnections(server: Server): void {
  server.prependListener("request", (_request, response) => {
    response.shouldKeepAlive = false;
  });
}

/** Refuses new connections, waits for the requests under way until the deadline, then closes their connections. */
export async function closeServer(server: Server, deadlineMs: number): Promise<void> {
  if (!server.listening) return;
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeIdleConnections();
  drainConnections(server);
  for (const responses of underWay.get(server)?.values() ?? []) responses.forEach(endConnectionAfter);
  const overdue = setTimeout(() => server.closeAllConnections(), deadlineMs);
  await closed;
  clearTimeout(overdue);
}

/** A client may keep its connection after a response that promised it, and has to read that response first. */
function endConnectionAfter(response: ServerResponse): void {
  const { socket } = response;
  response.shouldKeepAlive = false;
  response.once("close", () => socket?.end());
}
