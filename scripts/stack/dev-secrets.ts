import { randomBytes } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { giveToOwnerOfFolder } from "../services/account.ts";

const GENERATE = {
  API_KEYS: () => `pr_${randomBytes(24).toString("hex")}`,
  ENCRYPTION_KEY: () => randomBytes(32).toString("base64"),
  CONSOLE_PASSWORD: () => randomBytes(9).toString("base64url"),
};
type SecretName = keyof typeof GENERATE;
type Secrets = Partial<Record<SecretName, string>>;

/**
 * Generates the secrets that the environment does not set and stores them in a file that only its owner can read,
 * because the encryption key must stay the same as long as the data exists.
 */
export function devSecrets(dataDir: string, env: Readonly<Record<string, string | undefined>>): Secrets {
  const file = join(dataDir, "dev-secrets.json");
  const stored = existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as Secrets) : {};
  const names = Object.keys(GENERATE) as SecretName[];
  const missing = names.filter((name) => !env[name]?.trim());
  const secrets: Secrets = Object.fromEntries(missing.map((name) => [name, stored[name] ?? GENERATE[name]()]));
  if (missing.some((name) => stored[name] === undefined)) {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, `${JSON.stringify({ ...stored, ...secrets }, null, 2)}\n`, { mode: 0o600 });
    chmodSync(file, 0o600);
    giveToOwnerOfFolder(file);
  }
  return secrets;
}
