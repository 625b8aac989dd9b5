import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/** Both ends of a connection that is forwarded. */
type Pair = readonly [client: Socket, server: Socket];

/** A TCP port on 127.0.0.1 that leads to one server or another, as a name does whose address changes. */
export interface Forwarder {
  readonly port: number;
  /** How many connections it has accepted. */
  readonly accepted: number;
  /** The URL of a server, with this port instead of its own. */
  through(serverUrl: string): string;
  /** Leads new connections to the server of this URL. Established ones stay with theirs. */
  leadTo(serverUrl: string): void;
  /** Accepts new connections and never answers, until it leads to a server again. */
  leadNowhere(): void;
  /** From now on the established connections carry nothing and stay open, as after the loss of a machine. */
  silence(): void;
  /** Closes all connections, on both sides. */
  close(): Promise<void>;
}

export async function startForwarder(serverUrl: string): Promise<Forwarder> {
  let target: number | undefined = portOf(serverUrl);
  const pairs = new Set<Pair>();
  const unanswered = new Set<Socket>();
  let accepted = 0;
  const listener = createServer({ allowHalfOpen: true }, (client) => {
    accepted += 1;
    client.on("error", () => client.destroy());
    if (target === undefined) {
      unanswered.add(client);
      client.once("close", () => unanswered.delete(client));
      return;
    }
    const server = connect({ host: "127.0.0.1", port: target, allowHalfOpen: true });
    const pair = [client, server] as const;
    pairs.add(pair);
    const end = () => {
      client.destroy();
      server.destroy();
      pairs.delete(pair);
    };
    for (const one of pair) {
      one.setNoDelay(true);
      one.on("error", end);
      one.on("close", end);
    }
    client.pipe(server);
    server.pipe(client);
  });
  await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
  const { port } = listener.address() as AddressInfo;

  return {
    port,
    get accepted() {
      return accepted;
    },
    through(url) {
      const changed = new URL(url);
      changed.port = String(port);
      return changed.href;
    },
    leadTo(url) {
      target = portOf(url);
    },
    leadNowhere() {
      target = undefined;
    },
    silence() {
      for (const pair of pairs) {
        const [client, server] = pair;
        client.unpipe(server);
        server.unpipe(client);
        // A socket that is not read notices neither data nor the end of its peer.
        client.pause();
        server.pause();
        for (const one of pair) one.removeAllListeners("close");
      }
    },
    async close() {
      for (const one of [...unanswered, ...[...pairs].flat()]) one.destroy();
      await new Promise((resolve) => listener.close(resolve));
    },
  };
}

const portOf = (url: string): number => Number(new URL(url).port);
