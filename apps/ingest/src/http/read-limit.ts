import type { RequestHandler } from "express";
import { isCancelled } from "@postrider/shared/store/errors.ts";
import type { IngestMetrics } from "../metrics.ts";
import { Problem } from "./problem.ts";
import { ReadSlots, SHARE_OF_FREE } from "./read-slots.ts";
import { callerOf } from "./request-locals.ts";

export interface ReadLimits {
  /** Reads of one tenant that run or wait, whatever its number of keys. All operator keys have no such limit. */
  perTenant: number;
  /** Reads of all callers that run or wait. One of them may use half of what the others leave free. */
  total: number;
  /** Reads that run at once. */
  slots: number;
}

/** No tenant has this name. */
const OPERATORS = "";
const RETRY_LATER = { headers: { "retry-after": "1" } };

/**
 * Bounds the reads of a process, so that readers wait for each other and for nobody else. A read counts until its
 * statements have ended, also when its client has gone.
 *
 * @returns wraps the handler of a read
 */
export function createReadLimit(
  { perTenant, total, slots: max }: ReadLimits,
  metrics: Pick<IngestMetrics, "reads" | "readsRefused">,
) {
  const underWay = new Map<string, number>();
  const slots = new ReadSlots(max);
  let count = 0;

  function refuse(reason: "caller" | "all", problem: Problem): never {
    metrics.readsRefused.inc({ reason });
    throw problem;
  }

  return (handler: RequestHandler): RequestHandler =>
    async (request, response, next) => {
      const { tenant } = callerOf(response);
      // As many keys as a tenant may have, and all operator keys, count as one.
      const caller = tenant ?? OPERATORS;
      const own = underWay.get(caller) ?? 0;
      const max = Math.min(
        tenant === undefined ? total : perTenant,
        Math.max(1, Math.floor((total - (count - own)) * SHARE_OF_FREE)),
      );
      if (own >= max) {
        const whose = tenant === undefined ? "with operator keys" : "of this tenant";
        const detail = `${own} reads ${whose} are under way: wait for one of them`;
        refuse("caller", new Problem("too_many_reads", detail, RETRY_LATER));
      }
      if (count >= total) {
        refuse("all", new Problem("reads_overloaded", "too many reads are under way: try again", RETRY_LATER));
      }
      underWay.set(caller, own + 1);
      metrics.reads.set((count += 1));
      try {
        await slots.run(caller, () => handler(request, response, next));
      } catch (error) {
        if (!isCancelled(error)) throw error;
        metrics.readsRefused.inc({ reason: "timeout" });
        const detail = "the read took longer than READ_TIMEOUT: try again, or narrow it with since and until";
        throw new Problem("read_timeout", detail, { ...RETRY_LATER, cause: error });
      } finally {
        metrics.reads.set((count -= 1));
        const left = underWay.get(caller)! - 1;
        if (left === 0) underWay.delete(caller);
        else underWay.set(caller, left);
      }
    };
}
