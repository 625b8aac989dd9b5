import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { answer } from "./behaviours.ts";
import { Endpoint } from "./endpoint.ts";
import type { Behaviour, Received } from "./request.ts";

export interface Receiver {
  /** Adds a path; without a behaviour it responds 200 at once. */
  endpoint(behaviour?: Behaviour, path?: string): Endpoint;
  /** The matching requests to any endpoint, in the order of arrival. */
  received(matches: (request: Received) => boolean): Received[];
  close(): Promise<void>;
}

interface ReceiverOptions {
  host?: string;
  /** False for a load that would not fit into memory: the behaviours count what they need. */
  keepsRequests?: boolean;
}

/** A real HTTP server on loopback that plays many subscribers. */
export async function startReceiver({
  host = "127.0.0.1",
  keepsRequests = true,
}: ReceiverOptions = {}): Promise<Receiver> {
  const endpoints = new Map<string, Endpoint>();
  const server = createServer((request, response) => {
    const endpoint = endpoints.get(new URL(request.url ?? "/", "http://receiver").pathname);
    if (endpoint === undefined) response.writeHead(404).end();
    else endpoint.handle(request, response);
  });
  server.keepAliveTimeout = 60_000;
  server.listen(0, host);
  await new Promise((resolve, reject) => server.once("listening", resolve).once("error", reject));
  const { port } = server.address() as AddressInfo;
  return {
    endpoint(behaviour = answer(200), path = `/hook-${endpoints.size + 1}`) {
      const endpoint = new Endpoint(`http://${host}:${port}${path}`, behaviour, keepsRequests);
      endpoints.set(path, endpoint);
      return endpoint;
    },
    received(matches) {
      const all = [...endpoints.values()].flatMap((endpoint) => endpoint.requests);
      return all.filter(matches).sort((a, b) => a.at - b.at);
    },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
