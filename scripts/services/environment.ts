import { existsSync } from "node:fs";
import { join, resolve } from "node:path";

/** The checkout. */
export const ROOT = resolve(import.meta.dirname, "../..");
/** Everything that is kept between two starts. */
export const DATA_DIR = join(ROOT, ".data");

/** The environment, completed by the `.env` file where there is one; what is set already wins. */
export function readEnvironment(): Record<string, string | undefined> {
  const file = join(ROOT, ".env");
  if (existsSync(file)) process.loadEnvFile(file);
  return { ...process.env };
}
