// Listens and never accepts: when the kernel's short queue is full, further SYNs are dropped without a reply. Node
// accepts by itself, so this process blocks its event loop. It does not use the kit's parent.ts, because a handler of
// SIGTERM would never run, and the signal would not end the process.
import { createServer, type AddressInfo } from "node:net";
import type { SubscribersListening } from "./subscribers.ts";

const { count } = JSON.parse(process.argv[2]!) as { count: number };
const LOOK_FOR_PARENT_MS = 500;

const servers = Array.from({ length: count }, () => createServer());
await Promise.all(servers.map((server) => new Promise<void>((resolve) => {
  server.listen({ host: "127.0.0.1", port: 0, backlog: 1 }, resolve);
}))); // prettier-ignore
const ports = servers.map((server) => (server.address() as AddressInfo).port);
const parent = process.ppid;
process.send!({ kind: "listening", ports } satisfies SubscribersListening, () => {
  const never = new Int32Array(new SharedArrayBuffer(4));
  while (process.ppid === parent) Atomics.wait(never, 0, 0, LOOK_FOR_PARENT_MS);
  process.exit();
});
