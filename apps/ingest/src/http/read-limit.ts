import type { RequestHandler } from "express";
import { sqlState } from "@postrider/shared/store/errors.ts";
import type { IngestMetrics } from "../metrics.ts";
import { Problem } from "./problem.ts";
import { ReadSlots } from "./read-slots.ts";
import { callerOf, localsOf } from "./request-locals.ts";

export interface ReadLimits {
  /** Reads of one key that run or wait. */
  perKey: number;
  /** Reads of all keys that run or wait. One operator key may have half of them. */
  total: number;
  /** Reads that run at once. */
  slots: number;
}

const RETRY_LATER = { headers: { "retry-after": "1" } };
const QUERY_CANCELED = "57014";

/**
 * Bounds the reads of a process, so that readers wait for each other and for nobody else. A read counts until its
 * statements have ended, also when its client has gone.
 *
 * @returns wraps the handler of a read
 */
export function createReadLimit(
  { perKey, total, slots: max }: ReadLimits,
  metrics: Pick<IngestMetrics, "reads" | "readsRefused">,
) {
  const underWay = new Map<string, number>();
  const slots = new ReadSlots(max);
  let count = 0;

  function refuse(reason: "key" | "all", problem: Problem): never {
    metrics.readsRefused.inc({ reason });
    throw problem;
  }

  return (handler: RequestHandler): RequestHandler =>
    async (request, response, next) => {
      const key = localsOf(response).keyHash!.toString("base64");
      const ofKey = underWay.get(key) ?? 0;
      const max = callerOf(response).tenant === undefined ? Math.ceil(total / 2) : perKey;
      if (ofKey >= max) {
        const detail = `${max} reads with this API key are under way: wait for one of them`;
        refuse("key", new Problem("too_many_reads", detail, RETRY_LATER));
      }
      if (count >= total) {
        refuse("all", new Problem("reads_overloaded", "too many reads are under way: try again", RETRY_LATER));
      }
      underWay.set(key, ofKey + 1);
      metrics.reads.set((count += 1));
      try {
        await slots.run(key, () => handler(request, response, next));
      } catch (error) {
        if (sqlState(error) !== QUERY_CANCELED) throw error;
        metrics.readsRefused.inc({ reason: "timeout" });
        const detail =
          "the read took longer than READ_TIMEOUT: narrow it with since and until, or with a smaller limit";
        throw new Problem("read_timeout", detail, { ...RETRY_LATER, cause: error });
      } finally {
        metrics.reads.set((count -= 1));
        const left = underWay.get(key)! - 1;
        if (left === 0) underWay.delete(key);
        else underWay.set(key, left);
      }
    };
}
