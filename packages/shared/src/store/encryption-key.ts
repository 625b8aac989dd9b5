import type { Pool } from "pg";
import { secretOwner } from "./seal-owners.ts";
import type { SecretBox } from "./secret-box.ts";
import type { StoredSecret } from "./schema/index.ts";

/**
 * With a wrong key a process can't sign, and every delivery would become an `internal` dead letter.
 *
 * @throws Error if ENCRYPTION_KEY does not open the newest subscription's secret
 */
export async function refuseWrongKey(pool: Pool, box: SecretBox): Promise<void> {
  const { rows } = await pool.query<{ id: string; secret: StoredSecret }>(
    "select id, secrets -> 0 as secret from subscriptions where deleted_at is null order by id desc limit 1",
  );
  const newest = rows[0];
  if (!newest) return;
  try {
    box.open(newest.secret, secretOwner(newest.id));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(
      `ENCRYPTION_KEY does not open the secrets in this database (${reason}): set the key that sealed them`,
      { cause: error },
    );
  }
}
