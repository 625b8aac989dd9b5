import { MIN_ID } from "@postrider/shared/core/ids/id-range.ts";
import { now } from "@postrider/shared/runtime/clock.ts";
import { HEARTBEAT_TIMEOUT_MS, readRoster } from "@postrider/shared/runtime/fleet/roster.ts";
import { SEALED_HEADERS, sealsHeaders, startSealingHeaders } from "@postrider/shared/store/schema-range.ts";
import { sealHeaders } from "@postrider/shared/store/sealed-headers.ts";
import { countOlderProcesses } from "@postrider/shared/store/sql/count-older-processes.ts";
import { findPlainHeaders } from "@postrider/shared/store/sql/find-plain-headers.ts";
import { replaceSealed } from "@postrider/shared/store/sql/replace-sealed.ts";
import type { Context } from "../context.ts";

const PAGE = 200;

type Parts = Pick<Context, "pool" | "redis" | "secretBox" | "log">;

/**
 * Seals header values that older code stored as they are. While a process of older code runs they stay plain, because a
 * worker would send what it cannot open, and ingest would show it; processes of this code store them plain until then, too.
 *
 * @returns a run, which returns the number of subscriptions that it sealed. Two runs have to find no older process: Redis
 * may have been emptied just before the first, and workers come back to the roster within seconds
 */
export function createHeaderSealing(parts: Parts, aloneForMs = HEARTBEAT_TIMEOUT_MS / 2): () => Promise<number> {
  const { pool, redis, log } = parts;
  let isSealing = false;
  let aloneSince: number | undefined;

  async function maySeal(): Promise<boolean> {
    if (isSealing) return true;
    if (!(isSealing = await sealsHeaders(pool))) {
      if (!(await isAlone())) aloneSince = undefined;
      else if (aloneSince === undefined) aloneSince = performance.now();
      else if (performance.now() - aloneSince >= aloneForMs) {
        const isFirst = await startSealingHeaders(pool);
        // Only now: if that failed, older code could still start.
        isSealing = true;
        if (isFirst) log.info("the whole fleet reads sealed headers: sealing them from now on");
      }
    }
    return isSealing;
  }

  /** False where it can't be known. The connections show ingest, too, but behind a pooler not reliably. */
  async function isAlone(): Promise<boolean> {
    const workers = await readRoster(redis, now()).catch(() => []);
    if (workers.length === 0 || workers.some(({ schema = 0 }) => schema < SEALED_HEADERS)) return false;
    return (await countOlderProcesses(pool, SEALED_HEADERS)) === 0;
  }

  return async () => ((await maySeal()) ? sealPlainHeaders(parts) : 0);
}

/** @returns how many subscriptions had plain values */
async function sealPlainHeaders({ pool, secretBox }: Parts): Promise<number> {
  let sealed = 0;
  for (let after = MIN_ID; ;) {
    const rows = await findPlainHeaders(pool, after, PAGE);
    const replaced = rows.map((before) => ({
      before,
      after: { secrets: before.secrets, headers: sealHeaders(secretBox, before.id, before.headers) },
    }));
    if (replaced.length > 0) sealed += await replaceSealed(pool, replaced);
    if (rows.length < PAGE) return sealed;
    after = rows.at(-1)!.id;
  }
}
