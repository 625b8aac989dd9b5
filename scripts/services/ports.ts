import { randomInt } from "node:crypto";
import { createServer } from "node:net";

/** Whether no process listens on the port. */
export function isFree(port: number, host = "127.0.0.1"): Promise<boolean> {
  const probe = createServer();
  return new Promise((resolve) => {
    probe.once("error", () => resolve(false));
    probe.listen(port, host, () => probe.close(() => resolve(true)));
  });
}

/** A free port below the ephemeral range of kernels, so that it is likely to be free after a restart too. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(20_000, 32_000);
    if (await isFree(port)) return port;
  }
}
