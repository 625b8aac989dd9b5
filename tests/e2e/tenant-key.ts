import { createHash, randomBytes } from "node:crypto";
import { withClient } from "../../scripts/services/index.ts";

/** Adds an API key of a tenant to the database of a stack. @returns the key */
export async function addTenantKey(
  databaseUrl: string,
  tenant: string,
  scopes: readonly string[] = ["read", "write"],
): Promise<string> {
  const key = randomBytes(24).toString("hex");
  const hash = createHash("sha256").update(key).digest();
  await withClient(databaseUrl, (client) =>
    client.query("insert into api_keys (id, name, hash, tenant, scopes) values (gen_random_uuid(), $1, $2, $1, $3)", [
      tenant,
      hash,
      scopes,
    ]),
  );
  return key;
}
