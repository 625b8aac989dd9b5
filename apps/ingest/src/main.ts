import { createServer } from "node:http";
import { readIngestSettings } from "@postrider/shared/runtime/settings/ingest.ts";
import { ensureCurrentPartitions } from "@postrider/shared/store/partitions.ts";
import { startAdminServer } from "@postrider/shared/runtime/admin-server.ts";
import { closeServer, listen } from "@postrider/shared/runtime/listen.ts";
import { every } from "@postrider/shared/concurrency/every.ts";
import { runProcess } from "@postrider/shared/runtime/process/run.ts";
import { createApp } from "./http/app.ts";
import { createContext } from "./context.ts";
import { checkHealth } from "./http/health.ts";

const HOUR_MS = 3_600_000;

await runProcess(async () => {
  const settings = readIngestSettings(process.env);
  const context = await createContext(settings);
  const { log, pool, registry } = context;
  const server = createServer(createApp(context));
  const port = await listen(server, settings.host, [settings.port]);
  const ready = async () => (await checkHealth(context)).postgres === "ok";
  const admin = await startAdminServer({
    app: "ingest",
    host: settings.host,
    adminPort: settings.adminPort,
    registry,
    ready,
  });
  const upkeep = every(HOUR_MS, "upkeep", log, () => ensureCurrentPartitions(pool, Date.now()));
  log.info({ port, adminPort: admin.port }, "ingest is listening");
  return {
    log,
    stopDeadlineMs: settings.shutdownDeadlineMs,
    async stop() {
      await closeServer(server, settings.shutdownDeadlineMs / 2);
      await upkeep.stop();
      await closeServer(admin.server, 0);
      await context.close();
    },
  };
});
