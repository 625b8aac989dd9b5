import type { Queryable } from "../../packages/shared/src/store/pool.ts";
import { findOtherSealingKeys } from "../../packages/shared/src/store/sql/find-other-sealing-keys.ts";

/**
 * What a process goes on sealing under another key would be lost with that key, after everything seemed done.
 *
 * @throws Error where such a process runs
 */
export async function refuseOtherSealingKeys(db: Queryable, keyId: string): Promise<void> {
  const others = await findOtherSealingKeys(db, keyId);
  if (others.length === 0) return;
  const names = others.map(({ process, key }) => `${process} with key ${key}`).join(", ");
  throw new Error(
    `some processes seal with another key than ${keyId} (${names}): restart them with ${keyId} first in ENCRYPTION_KEY`,
  );
}
