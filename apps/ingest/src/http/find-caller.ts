import { GroupCommit } from "@postrider/shared/concurrency/group-commit.ts";
import type { Pool } from "@postrider/shared/store/pool.ts";
import { findApiKeys } from "@postrider/shared/store/sql/find-api-keys.ts";
import type { Caller } from "./caller.ts";

/** A key that is revoked in the table keeps working this long. */
const CACHE_MS = 10_000;
const CACHE_SIZE = 10_000;
const MAX_KEYS_PER_STATEMENT = 1_000;

/**
 * Creates a function that finds the caller of a key in the table, by the key's hash. Unknown keys are remembered too,
 * and keys that arrive at once share a statement, one at a time. So a flood of unknown keys costs Postgres little, and
 * a right key waits for one statement at most.
 */
export function createCallerLookup(pool: Pool): (hash: Buffer) => Promise<Caller | undefined> {
  const cache = new Map<string, { caller: Caller | undefined; expiresAt: number }>();
  const lookups = new GroupCommit<Buffer, Caller | undefined>({
    async flush(hashes) {
      const rows = await findApiKeys(pool, hashes);
      const callers = new Map(rows.map(({ hash, tenant, scopes }) => [nameOf(hash), callerOf(tenant, scopes)]));
      return hashes.map((hash) => callers.get(nameOf(hash)));
    },
    failsAll: () => true,
    weigh: () => ({ rows: 1, bytes: 0 }),
    maxFlush: { rows: MAX_KEYS_PER_STATEMENT, bytes: Infinity },
    // MAX_CONNECTIONS is their limit: each connection has one request at a time.
    maxWaiting: { rows: Infinity, bytes: Infinity },
  });
  return async (hash) => {
    const key = nameOf(hash);
    const cached = cache.get(key);
    if (cached && cached.expiresAt > performance.now()) return cached.caller;
    const caller = await lookups.add(hash);
    if (cache.size >= CACHE_SIZE) cache.clear();
    cache.set(key, { caller, expiresAt: performance.now() + CACHE_MS });
    return caller;
  };
}

const nameOf = (hash: Buffer): string => hash.toString("base64");

const callerOf = (tenant: string | null, scopes: readonly string[]): Caller => ({
  tenant: tenant ?? undefined,
  scopes: new Set(scopes),
});
