import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { promisify } from "node:util";
import { expect, test, type TestContext } from "vitest";
import { MissingProgram, prometheusTool } from "@postrider/testkit/processes/prometheus.ts";
import { skipBecause } from "@postrider/testkit/vitest.ts";
import { anchorOf } from "../../apps/console/src/pages/docs-routes.ts";

const run = promisify(execFile);
const root = resolve(import.meta.dirname, "../..");
const folder = resolve(root, "observability/prometheus");
const rules = readFileSync(resolve(folder, "rules.yml"), "utf8");
const cases = readFileSync(resolve(folder, "rules.test.yml"), "utf8");
const alerts = [...rules.matchAll(/- alert: (\w+)/g)].map(([, name]) => name!);

/** @returns its output */
async function promtool(context: TestContext, ...args: string[]): Promise<string> {
  try {
    return (await run(prometheusTool("promtool"), args, { cwd: folder })).stdout;
  } catch (error) {
    if (error instanceof MissingProgram) skipBecause(context, error.message);
    throw error;
  }
}

test("Prometheus accepts the alert rules", async (context) => {
  expect(await promtool(context, "check", "rules", "rules.yml")).toMatch(/SUCCESS: \d+ rules found/);
});

test("every alert fires for its cause, and none fires in a healthy fleet", async (context) => {
  expect(await promtool(context, "test", "rules", "rules.test.yml")).toMatch(/SUCCESS/);
});

test.each(alerts)(
  "the alert %s has a case in which it fires, one in which it is quiet, and a runbook that exists",
  (alert) => {
    const firing = new RegExp(`alertname: ${alert}\\n\\s+exp_alerts:\\n\\s+- exp_labels`);
    expect(cases).toMatch(firing);
    expect(cases).toMatch(new RegExp(`alertname: ${alert}, exp_alerts: \\[\\]`));
    const [, file, anchor] = new RegExp(`alert: ${alert}\\n[^]*?runbook: (\\S+)#(\\S+)`).exec(rules)!;
    const headings = [...readFileSync(resolve(root, file!), "utf8").matchAll(/^#+ (.+)$/gm)].map(([, title]) =>
      anchorOf(title!),
    );
    expect(headings).toContain(anchor);
  },
);
