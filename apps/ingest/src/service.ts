import type { Server } from "node:http";
import { setTimeout as pause } from "node:timers/promises";
import { every } from "@postrider/shared/concurrency/every.ts";
import { startAdminServer } from "@postrider/shared/runtime/admin-server.ts";
import { closeServer, createPublicServer, drainConnections, listen } from "@postrider/shared/runtime/listen.ts";
import type { RunningApp } from "@postrider/shared/runtime/process/run.ts";
import type { IngestSettings } from "@postrider/shared/runtime/settings/ingest.ts";
import { watchClock } from "@postrider/shared/runtime/watch-clock.ts";
import { ensureCurrentPartitions } from "@postrider/shared/store/partitions.ts";
import { createContext } from "./context.ts";
import { COUNT_EVERY_MS } from "./events/backlog.ts";
import { createApp } from "./http/app.ts";
import { answerProtocolErrors } from "./http/protocol-errors.ts";
import { readReadiness } from "./http/health.ts";

const HOUR_MS = 3_600_000;

/** `onRefused` is called for each connection that is closed at once. */
function limitConnections(server: Server, { maxConnections }: IngestSettings, onRefused: () => void): void {
  server.maxConnections = maxConnections;
  server.on("drop", onRefused);
  // The reader of bodies decides whether the client may send one; Node would always ask for it.
  server.on("checkContinue", (request, response) => server.emit("request", request, response));
}

/** Starts ingest: the API server, the admin server and the upkeep. */
export async function startIngest(settings: IngestSettings): Promise<RunningApp> {
  const context = await createContext(settings);
  const { log, pool, registry, lifecycle, metrics, backlogs } = context;
  const server = createPublicServer(settings, createApp(context), { requireHostHeader: false });
  limitConnections(server, settings, () => metrics.connectionsRefused.inc());
  answerProtocolErrors(server);
  const port = await listen(server, settings.host, [settings.port]);
  const admin = await startAdminServer({
    app: "ingest",
    host: settings.adminHost,
    adminPort: settings.adminPort,
    registry,
    ready: () => readReadiness(context),
  });
  const clockWatch = watchClock(context);
  const upkeep = every(HOUR_MS, "upkeep", log, () => ensureCurrentPartitions(pool));
  const backlogCount = every(COUNT_EVERY_MS, "the count of backlogs", log, () => backlogs.count());
  backlogCount.trigger();
  log.info({ port, adminPort: admin.port }, "ingest is listening");
  return {
    log,
    stopDeadlineMs: settings.shutdownDeadlineMs,
    async stop() {
      const { drainDelayMs, shutdownDeadlineMs } = settings;
      // A load balancer goes on sending requests until it has seen that this process is not ready.
      lifecycle.isDraining = true;
      drainConnections(server);
      if (drainDelayMs > 0) log.info({ drainDelayMs }, "draining: /readyz answers 503");
      await pause(drainDelayMs);
      await closeServer(server, (shutdownDeadlineMs - drainDelayMs) / 2);
      // Postgres may not answer.
      const leftMs = ((shutdownDeadlineMs - drainDelayMs) / 2) * 0.4;
      backlogs.close();
      await Promise.race([Promise.all([clockWatch.stop(), upkeep.stop(), backlogCount.stop()]), pause(leftMs)]);
      await closeServer(admin.server, 0);
      await Promise.race([context.close(), pause(leftMs)]);
    },
  };
}
