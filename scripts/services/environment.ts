import { existsSync } from "node:fs";
import { join, resolve } from "node:path";

/** The checkout. */
export const ROOT = resolve(import.meta.dirname, "../..");
/** All data that survives a restart. */
export const DATA_DIR = join(ROOT, ".data");

/** The environment, completed by the `.env` file. Variables that are already set take precedence. */
export function readEnvironment(): Record<string, string | undefined> {
  const file = join(ROOT, ".env");
  if (existsSync(file)) process.loadEnvFile(file);
  return { ...process.env };
}
