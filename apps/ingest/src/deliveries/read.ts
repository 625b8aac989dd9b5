import type { RequestHandler } from "express";
import { and, asc, eq, gte, lt } from "drizzle-orm";
import { firstIdAt, timeOfId } from "@postrider/shared/core/ids/id-range.ts";
import { toPublicId } from "@postrider/shared/core/ids/id.ts";
import type { Db } from "@postrider/shared/store/pool.ts";
import { attempts, deliveries } from "@postrider/shared/store/schema/index.ts";
import { now } from "@postrider/shared/runtime/clock.ts";
import type { Context } from "../context.ts";
import { pathId } from "../http/parse-request.ts";
import { Problem } from "../http/problem.ts";
import { callerOf } from "../http/request-locals.ts";
import { isVisibleTo } from "../http/tenancy.ts";
import { presentAttempt, presentDelivery } from "./present.ts";

/** All processes follow Postgres's clock. One whose machine was suspended is behind it for a moment. */
const CLOCK_SLACK_MS = 60 * 60_000;

/** `GET /deliveries/:id`, with its attempts */
export function readDelivery({ readDb }: Context): RequestHandler {
  return async (request, response) => {
    const id = pathId(request, "dlv");
    const [row] = await readDb
      .select()
      .from(deliveries)
      .where(and(eq(deliveries.id, id), isVisibleTo(callerOf(response), deliveries.tenant)));
    if (!row) throw new Problem("not_found", `there is no delivery ${toPublicId("dlv", id)}`);
    response.json({ ...presentDelivery(row), attempts: (await listAttempts(readDb, id)).map(presentAttempt) });
  };
}

/** Oldest first. */
const listAttempts = (db: Db, deliveryId: string) =>
  db
    .select()
    .from(attempts)
    .where(
      and(
        eq(attempts.deliveryId, deliveryId),
        // No attempt is older than its delivery, or from the future: this prunes partitions.
        gte(attempts.id, firstIdAt(timeOfId(deliveryId) - CLOCK_SLACK_MS)),
        lt(attempts.id, firstIdAt(now() + CLOCK_SLACK_MS)),
      ),
    )
    .orderBy(asc(attempts.id));
