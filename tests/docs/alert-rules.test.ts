import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { prometheusTool } from "@postrider/testkit/processes/prometheus.ts";
import { anchorOf } from "../../apps/console/src/pages/docs-routes.ts";

const run = promisify(execFile);
const root = resolve(import.meta.dirname, "../..");
const folder = resolve(root, "observability/prometheus");
const rules = readFileSync(resolve(folder, "rules.yml"), "utf8");
const cases = readFileSync(resolve(folder, "rules.test.yml"), "utf8");
const alerts = [...rules.matchAll(/- alert: (\w+)/g)].map(([, name]) => name!);

test("Prometheus accepts the alert rules", async () => {
  const { stdout } = await run(prometheusTool("promtool"), ["check", "rules", "rules.yml"], { cwd: folder });
  expect(stdout).toMatch(/SUCCESS: \d+ rules found/);
}, 120_000);

test("every alert fires for its cause, and none fires in a healthy fleet", async () => {
  const { stdout } = await run(prometheusTool("promtool"), ["test", "rules", "rules.test.yml"], { cwd: folder });
  expect(stdout).toMatch(/SUCCESS/);
}, 120_000);

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
