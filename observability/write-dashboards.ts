// npm run dashboards: writes grafana/dashboards/*.json from dashboards.ts. With --check it only says what differs.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DASHBOARDS, toGrafana } from "./dashboards.ts";

const FOLDER = join(import.meta.dirname, "grafana/dashboards");
const onlyCheck = process.argv.includes("--check");

const stale = DASHBOARDS.map((dashboard) => ({
  file: join(FOLDER, `${dashboard.uid}.json`),
  text: `${JSON.stringify(toGrafana(dashboard), null, 2)}\n`,
})).filter(({ file, text }) => read(file) !== text);

if (!onlyCheck) for (const { file, text } of stale) writeFileSync(file, text);
else if (stale.length > 0) {
  process.stderr.write(
    `not what dashboards.ts says, run npm run dashboards: ${stale.map(({ file }) => file).join(", ")}\n`,
  );
  process.exitCode = 1;
}
process.stdout.write(`${DASHBOARDS.length} dashboards, ${stale.length} of them ${onlyCheck ? "stale" : "written"}\n`);

function read(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
}
