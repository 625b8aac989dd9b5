import { afterEach, describe, expect, test } from "vitest";
import { freePort } from "@postrider/testkit/processes/ports.ts";
import { AppProcess } from "@postrider/testkit/stack/app-process.ts";
import { localSettings } from "@postrider/testkit/stack/settings.ts";
import { withDeadline } from "@postrider/testkit/wait.ts";

// Each of these processes exits before it connects to a server.
const nowhere = "127.0.0.1:9";
let started: AppProcess | undefined;

afterEach(async () => {
  if (started?.isRunning) await started.kill("SIGKILL");
});

async function startWith(app: "ingest" | "worker", env: Record<string, string>) {
  const settings: Record<string, string> = {
    ...localSettings(`postgres://postgres:hunter2@${nowhere}/none`, `redis://:hunter2@${nowhere}`),
    PORT: String(await freePort()),
    ...env,
  };
  started = await AppProcess.start(app, settings);
  const exit = await withDeadline(`${app} refuses to start`, 60_000, started.exit);
  return { exit, output: started.output(), settings };
}

describe.each(["ingest", "worker"] as const)("%s", (app) => {
  test("refuses bad settings, names all of them at once, and shows no secret", async () => {
    const { exit, output, settings } = await startWith(app, {
      DELIVERY_TIMEOUT: "soon",
      ALLOWED_NETWORKS: "10.0.0.0/99",
      ENCRYPTION_KEY: Buffer.from("much too short").toString("base64"),
    });
    expect(exit.code).toBeGreaterThan(0);
    for (const name of ["DELIVERY_TIMEOUT", "ALLOWED_NETWORKS", "ENCRYPTION_KEY"]) expect(output).toContain(name);
    const secrets = [settings["API_KEYS"], settings["ENCRYPTION_KEY"], settings["CONSOLE_PASSWORD"], "hunter2"];
    for (const secret of secrets) expect(output).not.toContain(secret ?? "");
  });
});

test("a shutdown deadline shorter than the delivery timeout is refused", async () => {
  const { exit, output } = await startWith("worker", { DELIVERY_TIMEOUT: "10s", SHUTDOWN_DEADLINE: "5s" });
  expect(exit.code).toBeGreaterThan(0);
  expect(output).toContain("SHUTDOWN_DEADLINE");
  expect(output).toContain("DELIVERY_TIMEOUT");
});
