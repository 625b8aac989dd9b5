import { createSocket, type Socket as UdpSocket } from "node:dgram";
import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { AUTHORITATIVE_ANSWER, decode, encode, type Packet, streamEncode, TRUNCATED_RESPONSE } from "dns-packet";

/** What the server says about a name and every name below it. */
export type Zone =
  | "silent"
  | "nxdomain"
  | "servfail"
  | "refused"
  | {
      a?: readonly string[];
      aaaa?: readonly string[];
      /** In seconds. */
      ttl?: number;
      afterMs?: number;
      /** What it says to these questions instead. */
      only?: Readonly<Partial<Record<"A" | "AAAA", Zone>>>;
      /** The first question of each name and type is lost. */
      losesFirst?: boolean;
      /** Answers over TCP; over UDP the answer is truncated. */
      needsTcp?: boolean;
    };

/** A DNS server on loopback, over UDP and TCP. It knows the root, unless the zone "." is set; a name that it was not given does not exist. */
export interface DnsServer {
  /** For the setting DNS_SERVERS. */
  readonly address: string;
  /** The questions so far, such as `A shop.example`. */
  readonly questions: readonly string[];
  set(name: string, zone: Zone): void;
  /** What it says about everything, the root included, until it is undefined. */
  override: Zone | undefined;
  close(): Promise<void>;
}

const RCODES = { nxdomain: 3, servfail: 2, refused: 5 } as const;
const ROOT: Zone = {};

export async function startDnsServer(zones: Readonly<Record<string, Zone>> = {}): Promise<DnsServer> {
  const known = new Map<string, Zone>(Object.entries(zones));
  const questions: string[] = [];
  const { udp, tcp, port } = await bind();
  const sockets = new Set<Socket>();
  let isClosed = false;

  function zoneOf(name: string): Zone {
    if (server.override !== undefined) return server.override;
    if (name === "" || name === ".") return known.get(".") ?? ROOT;
    const labels = name.toLowerCase().split(".");
    for (const index of labels.keys()) {
      const zone = known.get(labels.slice(index).join("."));
      if (zone !== undefined) return zone;
    }
    return "nxdomain";
  }

  function respond(query: Packet, isTcp: boolean, send: (response: Packet) => void): void {
    const [question] = query.questions ?? [];
    if (question === undefined) return;
    const { name, type } = question;
    const asked = `${type} ${name}`;
    const isFirst = !questions.includes(asked);
    questions.push(asked);
    let zone = zoneOf(name);
    if (typeof zone !== "string" && (type === "A" || type === "AAAA")) zone = zone.only?.[type] ?? zone;
    const head = { id: query.id!, type: "response" as const, questions: [question] };
    if (zone === "silent") return;
    if (typeof zone === "string") return send({ ...head, flags: RCODES[zone] });
    if (zone.losesFirst && isFirst) return;
    if (zone.needsTcp && !isTcp) return send({ ...head, flags: TRUNCATED_RESPONSE });
    const { ttl = 60, a = [], aaaa = [], afterMs = 0 } = zone;
    const answers: Packet["answers"] =
      type === "A" || type === "AAAA"
        ? (type === "A" ? a : aaaa).map((data) => ({ type, name, ttl, data }))
        : type === "NS" && zone === ROOT
          ? [{ type, name, ttl, data: "a.root-servers.net" }]
          : [];
    setTimeout(send, afterMs, { ...head, flags: AUTHORITATIVE_ANSWER, answers });
  }

  udp.on("message", (message, { port: from, address }) =>
    respond(decode(message), false, (response) => {
      if (!isClosed) udp.send(encode(response), from, address, () => undefined);
    }),
  );
  tcp.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket)).on("error", () => undefined);
    let received = Buffer.alloc(0);
    socket.on("data", (chunk) => {
      received = Buffer.concat([received, chunk]);
      while (received.length >= 2 && received.length >= 2 + received.readUInt16BE(0)) {
        const end = 2 + received.readUInt16BE(0);
        respond(decode(received.subarray(2, end)), true, (response) => socket.write(streamEncode(response)));
        received = received.subarray(end);
      }
    });
  });

  const server: DnsServer = {
    address: `127.0.0.1:${port}`,
    questions,
    set: (name, zone) => void known.set(name, zone),
    override: undefined,
    async close() {
      isClosed = true;
      udp.close();
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => tcp.close(resolve));
    },
  };
  return server;
}

/** Takes a port that is free for both. */
async function bind(): Promise<{ udp: UdpSocket; tcp: Server; port: number }> {
  for (;;) {
    const tcp = createServer();
    await once(tcp.listen(0, "127.0.0.1"), "listening");
    const { port } = tcp.address() as AddressInfo;
    const udp = createSocket("udp4");
    const isBound = await new Promise<boolean>((resolve) => {
      udp.once("error", () => resolve(false)).bind(port, "127.0.0.1", () => resolve(true));
    });
    if (isBound) return { udp, tcp, port };
    tcp.close();
  }
}
