import { once } from "node:events";
import { createServer } from "node:net";

/** @returns undefined where all of 127.0.0.0/8 is this machine, as on Linux, or why tests cannot use it */
export async function whyNoLoopbackAddresses(): Promise<string | undefined> {
  const server = createServer().listen(0, "127.0.0.2");
  try {
    await once(server, "listening");
    return undefined;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return `the loopback interface has no address but 127.0.0.1 (${code})`;
  } finally {
    server.close();
  }
}
