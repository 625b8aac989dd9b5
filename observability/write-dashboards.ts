// npm run dashboards: generates grafana/dashboards/*.json from dashboards.ts. With --check it only reports differences.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { toGrafana } from "./dashboards/grafana.ts";
import { readArguments } from "../scripts/arguments.ts";
import { DASHBOARDS } from "./dashboards.ts";

const FOLDER = join(import.meta.dirname, "grafana/dashboards");

const HELP = `Usage: npm run dashboards [-- --check]

Generates the dashboards of Grafana.

  --check  only reports which are out of date
`;

const isCheck = readArguments(HELP, { check: { type: "boolean" } }).values.check === true;

const stale = DASHBOARDS.map((dashboard) => ({
  file: join(FOLDER, `${dashboard.uid}.json`),
  text: `${JSON.stringify(toGrafana(dashboard), null, 2)}\n`,
})).filter(({ file, text }) => read(file) !== text);

if (!isCheck) for (const { file, text } of stale) writeFileSync(file, text);
else if (stale.length > 0) {
  process.stderr.write(`out of date, run npm run dashboards: ${stale.map(({ file }) => file).join(", ")}\n`);
  process.exitCode = 1;
}
process.stdout.write(`${DASHBOARDS.length} dashboards, ${stale.length} of them ${isCheck ? "stale" : "written"}\n`);

function read(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
}
