import { createServer } from "node:http";
import { every } from "@postrider/shared/concurrency/every.ts";
import { startAdminServer } from "@postrider/shared/runtime/admin-server.ts";
import { closeServer, listen } from "@postrider/shared/runtime/listen.ts";
import type { RunningApp } from "@postrider/shared/runtime/process/run.ts";
import type { IngestSettings } from "@postrider/shared/runtime/settings/ingest.ts";
import { watchClock } from "@postrider/shared/runtime/watch-clock.ts";
import { ensureCurrentPartitions } from "@postrider/shared/store/partitions.ts";
import { createContext } from "./context.ts";
import { createApp } from "./http/app.ts";
import { readReadiness } from "./http/health.ts";

const HOUR_MS = 3_600_000;

/** Starts ingest: the API server, the admin server and the upkeep. */
export async function startIngest(settings: IngestSettings): Promise<RunningApp> {
  const context = await createContext(settings);
  const { log, pool, registry } = context;
  const server = createServer(createApp(context));
  const port = await listen(server, settings.host, [settings.port]);
  const admin = await startAdminServer({
    app: "ingest",
    host: settings.host,
    adminPort: settings.adminPort,
    registry,
    ready: () => readReadiness(context),
  });
  const clockWatch = watchClock(context);
  const upkeep = every(HOUR_MS, "upkeep", log, () => ensureCurrentPartitions(pool));
  log.info({ port, adminPort: admin.port }, "ingest is listening");
  return {
    log,
    stopDeadlineMs: settings.shutdownDeadlineMs,
    async stop() {
      await closeServer(server, settings.shutdownDeadlineMs / 2);
      await Promise.all([clockWatch.stop(), upkeep.stop()]);
      await closeServer(admin.server, 0);
      await context.close();
    },
  };
}
