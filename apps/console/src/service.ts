import { setTimeout as pause } from "node:timers/promises";
import { startAdminServer } from "@postrider/shared/runtime/admin-server.ts";
import { closeServer, createPublicServer, listen } from "@postrider/shared/runtime/listen.ts";
import type { RunningApp } from "@postrider/shared/runtime/process/run.ts";
import { watchClock } from "@postrider/shared/runtime/watch-clock.ts";
import type { ConsoleSettings } from "@postrider/shared/runtime/settings/console.ts";
import { createApp } from "./app.ts";
import { createContext } from "./context.ts";

/** Starts the console: its pages and the admin server. */
export async function startConsole(settings: ConsoleSettings): Promise<RunningApp> {
  const context = createContext(settings);
  const { log, registry, readiness } = context;
  const server = createPublicServer(settings, createApp(context));
  const port = await listen(server, settings.host, [settings.consolePort]);
  const admin = await startAdminServer({
    app: "console",
    host: settings.adminHost,
    adminPort: settings.adminPort,
    registry,
    ready: readiness,
  });
  const clockWatch = watchClock(context);
  log.info({ port, adminPort: admin.port }, "console is listening");
  return {
    log,
    stopDeadlineMs: settings.shutdownDeadlineMs,
    async stop() {
      await closeServer(server, settings.shutdownDeadlineMs / 2);
      // Postgres may not answer.
      const leftMs = settings.shutdownDeadlineMs / 5;
      await Promise.race([clockWatch.stop(), pause(leftMs)]);
      await closeServer(admin.server, 0);
      await Promise.race([context.close(), pause(leftMs)]);
    },
  };
}
