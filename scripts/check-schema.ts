// Fails if the Drizzle schema and the migrations in drizzle/ differ, i.e. if drizzle-kit would generate a migration.
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { readArguments } from "./arguments.ts";

readArguments("Usage: npm run check:schema\n\nFails if the schema and the migrations in drizzle/ differ.\n", {});

const root = fileURLToPath(new URL("..", import.meta.url));
const migrations = join(root, "drizzle");
// Inside the project, because drizzle-kit resolves its output folder relative to it.
const copy = mkdtempSync(join(root, ".data-schema-check-"));
try {
  cpSync(migrations, copy, { recursive: true });
  const kit = spawnSync(
    process.execPath,
    [
      join(root, "node_modules/drizzle-kit/bin.cjs"),
      "generate",
      "--dialect=postgresql",
      "--schema=./packages/shared/src/store/schema/*.ts",
      `--out=./${copy.slice(root.length)}`,
      "--name=drift",
    ],
    { cwd: root, encoding: "utf8" },
  );
  if (kit.status !== 0) throw new Error(`drizzle-kit failed:\n${kit.stdout}${kit.stderr}`);
  const before = new Set(readdirSync(migrations));
  const drift = readdirSync(copy).filter((file) => file.endsWith(".sql") && !before.has(file));
  if (drift.length > 0) {
    console.error("The schema and drizzle/ differ. Generate a migration: npx drizzle-kit generate --name <name>");
    process.exitCode = 1;
  } else {
    console.log("schema and migrations agree");
  }
} finally {
  rmSync(copy, { recursive: true, force: true });
}
