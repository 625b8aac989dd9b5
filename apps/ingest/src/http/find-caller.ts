import { BufferFullError, GroupCommit } from "@postrider/shared/concurrency/group-commit.ts";
import { within } from "@postrider/shared/concurrency/within.ts";
import type { Pool } from "@postrider/shared/store/pool.ts";
import { findApiKeys } from "@postrider/shared/store/sql/find-api-keys.ts";
import type { Caller } from "./caller.ts";
import { Problem } from "./problem.ts";

/** A key that is revoked in the table keeps working this long. */
const CACHE_MS = 10_000;
const CACHE_SIZE = 10_000;
const MAX_KEYS_PER_STATEMENT = 1_000;
/** Two, so that one statement that hangs keeps no other key waiting. */
const MAX_STATEMENTS = 2;
/** One connection may have any number of pipelined requests under way, so connections do not limit them. */
const MAX_WAITING = 10 * MAX_KEYS_PER_STATEMENT;
/** As long as for a connection of the pool, for the wait and the statement together. */
const LOOKUP_TIMEOUT_MS = 3_000;

/**
 * Creates a function that finds the caller of a key in the table, by the key's hash. Unknown keys are remembered too,
 * and keys that arrive at once share a statement, two at a time. So a flood of unknown keys costs Postgres little, and
 * a right key waits for few statements. Every wait is bounded.
 *
 * @throws Problem if too many keys wait, or Postgres does not answer in time
 */
export function createCallerLookup(pool: Pool): (hash: Buffer) => Promise<Caller | undefined> {
  const cache = new Map<string, { caller: Caller | undefined; expiresAt: number }>();
  const lookups = new GroupCommit<Buffer, Caller | undefined>({
    async flush(hashes) {
      const rows = await findApiKeys(pool, hashes, LOOKUP_TIMEOUT_MS);
      const callers = new Map(rows.map(({ hash, tenant, scopes }) => [nameOf(hash), callerOf(tenant, scopes)]));
      return hashes.map((hash) => callers.get(nameOf(hash)));
    },
    failsAll: () => true,
    weigh: () => ({ rows: 1, bytes: 0 }),
    maxFlush: { rows: MAX_KEYS_PER_STATEMENT, bytes: Infinity },
    maxFlushing: MAX_STATEMENTS,
    maxWaiting: { rows: MAX_WAITING, bytes: Infinity },
  });
  async function lookUp(hash: Buffer): Promise<Caller | undefined> {
    const lookup = lookups.add(hash).then((caller) => ({ caller }));
    const found = await within(LOOKUP_TIMEOUT_MS, lookup, () => undefined).catch((error: unknown) => {
      if (!(error instanceof BufferFullError)) throw error;
      throw new Problem("overloaded", "too many API keys are being looked up: try again", { ...RETRY, cause: error });
    });
    if (!found) throw new Problem("database_unavailable", "the API key could not be looked up: try again", RETRY);
    return found.caller;
  }
  return async (hash) => {
    const key = nameOf(hash);
    const cached = cache.get(key);
    if (cached && cached.expiresAt > performance.now()) return cached.caller;
    const caller = await lookUp(hash);
    if (cache.size >= CACHE_SIZE) cache.clear();
    cache.set(key, { caller, expiresAt: performance.now() + CACHE_MS });
    return caller;
  };
}

const RETRY = { headers: { "retry-after": "1" } };

const nameOf = (hash: Buffer): string => hash.toString("base64");

const callerOf = (tenant: string | null, scopes: readonly string[]): Caller => ({
  tenant: tenant ?? undefined,
  scopes: new Set(scopes),
});
