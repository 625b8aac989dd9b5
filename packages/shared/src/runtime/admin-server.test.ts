import { Registry } from "prom-client";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startAdminServer, type AdminServer } from "./admin-server.ts";
import { closeServer } from "./listen.ts";

let admin: AdminServer;
beforeAll(async () => {
  const ready = async () => ({ status: "ok" as const, checks: {} });
  admin = await startAdminServer({ app: "ingest", host: "127.0.0.1", adminPort: 0, registry: new Registry(), ready });
});
afterAll(() => closeServer(admin.server, 0));

const call = (method: string, path: string, body?: string) =>
  fetch(`http://127.0.0.1:${admin.port}${path}`, { method, body: body ?? null });

test.each(["/metrics", "/healthz", "/readyz"])(
  "an admin port answers GET and HEAD of %s, and no other method",
  async (path) => {
    expect((await call("GET", path)).status).toBe(200);
    const head = await call("HEAD", path);
    expect([head.status, await head.text()]).toEqual([200, ""]);
    for (const method of ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"]) {
      const answer = await call(method, path, method === "OPTIONS" ? undefined : "{}");
      expect([method, answer.status, answer.headers.get("allow")]).toEqual([method, 405, "GET, HEAD"]);
      expect(await answer.text()).not.toMatch(/TYPE|status/);
    }
  },
);
