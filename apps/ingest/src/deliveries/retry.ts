import type { RequestHandler } from "express";
import { and, eq } from "drizzle-orm";
import { toPublicId } from "@postrider/shared/core/ids/id.ts";
import { retryDelivery } from "@postrider/shared/runtime/retry-delivery.ts";
import { transaction, type Db } from "@postrider/shared/store/pool.ts";
import { deliveries } from "@postrider/shared/store/schema/index.ts";
import { retryDeliveryRow } from "@postrider/shared/store/sql/retry-delivery.ts";
import type { Context } from "../context.ts";
import { answerOnce } from "../http/answer-once.ts";
import type { Caller } from "../http/caller.ts";
import { noBody, pathId } from "../http/parse-request.ts";
import { Problem } from "../http/problem.ts";
import { requestLog } from "../http/request-id.ts";
import { callerOf } from "../http/request-locals.ts";
import { isVisibleTo } from "../http/tenancy.ts";
import { presentDelivery } from "./present.ts";

const REASONS = {
  delivery_pending: "the delivery waits to be sent, or is being sent now, without a retry",
  subscription_paused: "the subscription of this delivery is paused, and a retry would be held: POST …/resume first",
  subscription_disabled:
    "the subscription of this delivery is disabled, and a retry would be held: POST …/enable first",
  subscription_deleted: "the subscription of this delivery is deleted",
};

/** `POST /deliveries/:id/retry` */
export function retryOneDelivery(context: Context): RequestHandler {
  const { db, log } = context;
  return async (request, response) => {
    const id = pathId(request, "dlv");
    noBody(request);
    const caller = callerOf(response);
    await answerOnce(context, request, response, {
      name: `retry ${id}`,
      tenant: () => tenantOf(db, caller, id),
      async run(remember) {
        const result = await retryDelivery(context, id, caller.tenant, (found) =>
          transaction(db, async (tx, connection) => {
            if (!(await retryDeliveryRow(connection, found))) return false;
            const [row] = await tx.select().from(deliveries).where(eq(deliveries.id, id));
            await remember(connection, { status: 202, body: presentDelivery(row!) });
            return true;
          }),
        );
        if (result.kind === "not_found") throw noSuchDelivery(id);
        if (result.kind !== "retrying") throw new Problem(result.kind, REASONS[result.kind]);
        const logged = { delivery: toPublicId("dlv", id), cycle: result.cycle };
        requestLog(log, response).info(logged, "scheduled a manual retry");
      },
    });
  };
}

/** @throws Problem not_found */
async function tenantOf(db: Db, caller: Caller, id: string): Promise<string> {
  const [found] = await db
    .select({ tenant: deliveries.tenant })
    .from(deliveries)
    .where(and(eq(deliveries.id, id), isVisibleTo(caller, deliveries.tenant)));
  if (!found) throw noSuchDelivery(id);
  return found.tenant;
}

const noSuchDelivery = (id: string) => new Problem("not_found", `there is no delivery ${toPublicId("dlv", id)}`);
