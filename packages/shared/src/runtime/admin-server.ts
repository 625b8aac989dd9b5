import { createServer, type Server } from "node:http";
import type { Registry } from "prom-client";
import { listen } from "./listen.ts";
import { isReady, type Readiness } from "./readiness.ts";

/** Offset from ADMIN_PORT of ingest, the first worker and the console. */
const PORT_OFFSET = { ingest: 0, worker: 1, console: 2 } as const;
/** Further workers try this many ports above the console's. */
const FURTHER_WORKERS = 200;

export function adminPortCandidates(app: keyof typeof PORT_OFFSET, adminPort: number): number[] {
  if (adminPort === 0) return [0];
  const own = adminPort + PORT_OFFSET[app];
  if (app !== "worker") return [own];
  const further = Array.from({ length: FURTHER_WORKERS }, (_, index) => adminPort + PORT_OFFSET.console + 1 + index);
  return [own, ...further.filter((port) => port <= 65_535)];
}

export interface AdminServer {
  server: Server;
  port: number;
}

/** Serves `/metrics` (Prometheus text), `/healthz` and `/readyz` on a separate port, which must not be public. GET and HEAD only. */
export async function startAdminServer(options: {
  app: keyof typeof PORT_OFFSET;
  host: string;
  adminPort: number;
  registry: Registry;
  /** Metrics to append to the registry's, in the same format. */
  further?: () => Promise<string>;
  ready: () => Promise<Readiness>;
}): Promise<AdminServer> {
  const { registry, further, ready } = options;
  const server = createServer((request, response) => {
    if (request.method !== "GET" && request.method !== "HEAD") {
      // Whatever the request's body is, nobody reads it.
      const headers = { allow: "GET, HEAD", "content-type": "text/plain", connection: "close" };
      return void response.writeHead(405, headers).end("this port answers GET and HEAD\n");
    }
    void answer(request.url ?? "/").then(
      ({ status, type, body }) => response.writeHead(status, { "content-type": type }).end(body),
      (error: unknown) => response.writeHead(500, { "content-type": "text/plain" }).end(String(error)),
    );
  });
  async function answer(path: string): Promise<{ status: number; type: string; body: string }> {
    switch (path.split("?")[0]) {
      case "/metrics":
        return {
          status: 200,
          type: registry.contentType,
          body: (await registry.metrics()) + ((await further?.()) ?? ""),
        };
      case "/healthz":
        return { status: 200, type: "application/json", body: '{"status":"ok"}' };
      case "/readyz": {
        const readiness = await ready();
        const status = isReady(readiness) ? 200 : 503;
        return { status, type: "application/json", body: JSON.stringify(readiness) };
      }
      default:
        return { status: 404, type: "text/plain", body: "not found: try /metrics, /healthz or /readyz\n" };
    }
  }
  const port = await listen(server, options.host, adminPortCandidates(options.app, options.adminPort));
  return { server, port };
}
