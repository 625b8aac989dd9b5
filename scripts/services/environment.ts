import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { plainEnvironment } from "../../packages/shared/src/runtime/settings/read.ts";
import { STACK_VARIABLES } from "../../packages/shared/src/runtime/settings/stack.ts";

/** The checkout. */
export const ROOT = resolve(import.meta.dirname, "../..");
/** All data that survives a restart. */
export const DATA_DIR = join(ROOT, ".data");

/**
 * The environment, completed by the `.env` file, with every setting under its plain name. Variables that are already set
 * take precedence over those of the same name in the file.
 *
 * @throws SettingsError
 */
export function readEnvironment(): Record<string, string | undefined> {
  const file = join(ROOT, ".env");
  if (existsSync(file)) process.loadEnvFile(file);
  return plainEnvironment(process.env, STACK_VARIABLES);
}
