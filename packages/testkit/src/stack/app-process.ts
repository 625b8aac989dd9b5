import { join } from "node:path";
import { adminPortSetting, type App } from "../../../../scripts/stack/admin-ports.ts";
import { type Env, ManagedProcess, type ProcessSpec } from "../processes/managed-process.ts";
import { freePort } from "../processes/ports.ts";

export type { App } from "../../../../scripts/stack/admin-ports.ts";

/** What a caller may choose about the processes of an app. */
export interface AppOptions extends Pick<ProcessSpec, "restartAfterMs" | "cpuProfileDir"> {
  /** Where their output goes, one file for each process; undefined keeps the last lines in memory. */
  logFolder?: string;
  /** Another entry point than the app's own. */
  script?: string | URL;
}

/** A process of ingest, worker or console. */
export class AppProcess extends ManagedProcess {
  /** Serves /metrics, /healthz and /readyz. */
  readonly adminUrl: string;

  private constructor(spec: ProcessSpec, adminUrl: string) {
    super(spec);
    this.adminUrl = adminUrl;
  }

  /** Spawns the process, which is not ready yet. @param readyUrl undefined for its admin port */
  static async start(
    app: App,
    env: Env,
    { name = app, readyUrl, logFolder, script, ...options }: AppOptions & { name?: string; readyUrl?: string } = {},
  ): Promise<AppProcess> {
    const port = await freePort();
    const adminUrl = `http://127.0.0.1:${port}`;
    const spec: ProcessSpec = {
      name,
      script: script ?? `apps/${app}/src/main.ts`,
      env: { ADMIN_PORT: adminPortSetting(app, port), ...env },
      // On a busy machine Postgres may take longer to accept a connection than a process waits.
      retryStartIf: /connection timeout/,
      readyUrl: readyUrl ?? `${adminUrl}/readyz`,
      ...(logFolder === undefined ? {} : { logFile: join(logFolder, `${name}.log`) }),
      ...options,
    };
    return new AppProcess(spec, adminUrl);
  }
}
