import { randomInt } from "node:crypto";
import { createServer } from "node:net";

/** Whether nobody listens there. */
export function isFree(port: number, host = "127.0.0.1"): Promise<boolean> {
  const probe = createServer();
  return new Promise((decided) => {
    probe.once("error", () => decided(false));
    probe.listen(port, host, () => probe.close(() => decided(true)));
  });
}

/** A free port below the range that kernels take for outgoing connections, so that it is still free after a restart. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(20_000, 32_000);
    if (await isFree(port)) return port;
  }
}
