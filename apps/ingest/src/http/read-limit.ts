import type { RequestHandler } from "express";
import { isCancelled } from "@postrider/shared/store/errors.ts";
import type { IngestMetrics } from "../metrics.ts";
import { CallerCounts } from "./caller-counts.ts";
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
  { perTenant, total, slots: maxRunning }: ReadLimits,
  metrics: Pick<IngestMetrics, "reads" | "readsRefused">,
) {
  const underWay = new CallerCounts();
  const slots = new ReadSlots(maxRunning);

  function change(caller: string, by: 1 | -1): void {
    underWay.change(caller, by);
    metrics.reads.set(underWay.total);
  }

  function refuse(reason: "caller" | "all", problem: Problem): never {
    metrics.readsRefused.inc({ reason });
    throw problem;
  }

  return (handler: RequestHandler): RequestHandler =>
    async (request, response, next) => {
      const { tenant } = callerOf(response);
      // As many keys as a tenant may have, and all operator keys, count as one.
      const caller = tenant ?? OPERATORS;
      const own = underWay.of(caller);
      const max = Math.min(
        tenant === undefined ? total : perTenant,
        Math.max(1, Math.floor(underWay.leftFor(caller, total) * SHARE_OF_FREE)),
      );
      if (own >= max) {
        const whose = tenant === undefined ? "with operator keys" : "of this tenant";
        const detail = `${own} reads ${whose} are under way: wait for one of them`;
        refuse("caller", new Problem("too_many_reads", detail, RETRY_LATER));
      }
      if (underWay.total >= total) {
        refuse("all", new Problem("reads_overloaded", "too many reads are under way: try again", RETRY_LATER));
      }
      change(caller, 1);
      try {
        await slots.run(caller, () => handler(request, response, next));
      } catch (error) {
        if (!isCancelled(error)) throw error;
        metrics.readsRefused.inc({ reason: "timeout" });
        const detail = "the read took longer than READ_TIMEOUT: try again, or narrow it with since and until";
        throw new Problem("read_timeout", detail, { ...RETRY_LATER, cause: error });
      } finally {
        change(caller, -1);
      }
    };
}
