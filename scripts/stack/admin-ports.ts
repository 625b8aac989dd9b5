import { adminPortCandidates } from "../../packages/shared/src/runtime/admin-server.ts";
import { freePort, isFree } from "../services/ports.ts";
import type { Report } from "../services/report.ts";

export type App = "ingest" | "worker" | "console";

/**
 * Chooses each process's port for metrics: `base` for ingest, then worker-1, the console and the other workers. A port
 * that is taken is replaced by the next free one.
 *
 * @returns process name → port
 */
export async function chooseAdminPorts(
  base: number,
  host: string,
  names: readonly string[],
  report: Report,
): Promise<Map<string, number>> {
  const chosen = new Map<string, number>();
  const order = [...names].sort((a, b) => rank(a) - rank(b));
  let next = base;
  for (const name of order) {
    const port = base === 0 ? await freePort() : await nextFree(next, host);
    if (base !== 0 && port !== next) report(`port ${next} is taken: the metrics of ${name} are on ${port}`);
    chosen.set(name, port);
    next = port + 1;
  }
  return chosen;
}

async function nextFree(from: number, host: string): Promise<number> {
  for (let port = from; port <= 65_535; port += 1) if (await isFree(port, host)) return port;
  return freePort();
}

/** The ADMIN_PORT that makes a process listen on this port: each app adds its own offset to the setting. */
export const adminPortSetting = (app: App, port: number): string =>
  String(port - (adminPortCandidates(app, 1)[0]! - 1));

function rank(name: string): number {
  return ["ingest", "worker-1", "console"].indexOf(name) + 1 || Number(name.split("-")[1]) + 10;
}
