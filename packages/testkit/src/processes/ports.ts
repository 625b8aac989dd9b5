import { randomInt } from "node:crypto";
import { isFree } from "../../../../scripts/services/ports.ts";

/** Vitest's workers draw from ports of their own, so that none is handed out twice before its process listens. */
const WORKERS = 4;
const OWN = Number(process.env["VITEST_POOL_ID"] ?? 0) % WORKERS;

const handedOut = new Set<number>();

/** A free port below the range that the kernel takes for outgoing connections; no other call returns it again. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = WORKERS * randomInt(5_000, 8_000) + OWN;
    if (handedOut.has(port)) continue;
    handedOut.add(port);
    if (await isFree(port)) return port;
  }
}
