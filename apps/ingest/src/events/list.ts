import type { RequestHandler } from "express";
import type { z } from "zod";
import { lastIdBefore } from "@postrider/shared/core/ids/id-range.ts";
import { toPublicId } from "@postrider/shared/core/ids/id.ts";
import { withConnection, type Queryable } from "@postrider/shared/store/pool.ts";
import { listEventRows } from "@postrider/shared/store/sql/list-events.ts";
import { readSettledTime } from "@postrider/shared/store/sql/read-settled-time.ts";
import type { Context } from "../context.ts";
import { EMPTY_PAGE, pagingOf, toPage, type Page } from "../http/page.ts";
import { query } from "../http/parse-request.ts";
import { callerOf } from "../http/request-locals.ts";
import { listedTenant } from "../http/tenancy.ts";
import { eventFilter } from "./input.ts";
import { presentEvent } from "./present.ts";

type Filter = z.output<typeof eventFilter>;
type Shown = ReturnType<typeof presentEvent>;

/** `GET /events` */
export function listEvents(context: Context): RequestHandler {
  return async (request, response) => {
    const filter = query(request, eventFilter);
    const tenant = listedTenant(callerOf(response), filter.tenant);
    if (tenant === undefined) return void response.json(EMPTY_PAGE);
    const { after } = filter;
    const isFollowing = after !== undefined;
    response.json(
      await (isFollowing ? pageAfter(context, filter, tenant, after) : page(context.readPool, filter, tenant)),
    );
  };
}

async function page(db: Queryable, filter: Filter, tenant: string | null): Promise<Page<Shown>> {
  const rows = await listEventRows(db, pagingOf(filter), { tenant, type: filter.type ?? null });
  return toPage(rows, filter.limit, presentEvent, ({ id }) => toPublicId("evt", id));
}

/**
 * Where a page had no event, the cursor goes on with the time, but stays behind it: if this connection leads to an old
 * primary that nobody has stopped yet, events that it never sees are committed elsewhere.
 */
const BEHIND_MS = 60_000;

/**
 * A page that skips no event, also where one with an older id is committed later: it ends before the first id that may
 * still come. Its cursor is null only at `until`, since otherwise there will be more.
 */
const pageAfter = ({ readPool }: Context, filter: Filter, tenant: string | null, after: string): Promise<Page<Shown>> =>
  withConnection(readPool, async (db) => {
    // By a statement before the one that reads the events, which then sees all that was committed until here.
    const { ms, isStandby } = await readSettledTime(db);
    // isUnavailable() (store/errors.ts): the connection is replaced.
    if (isStandby) throw new Error("the connection leads to a standby");
    const settled = Math.floor(ms);
    const until = Math.min(filter.until ?? settled, settled);
    const read = await page(db, { ...filter, order: "asc", cursor: after, until }, tenant);
    if (read.nextCursor !== null || until !== settled) return read;
    const reached = [toPublicId("evt", after), toPublicId("evt", lastIdBefore(settled - BEHIND_MS))];
    // Public ids have the order of the ids.
    return { ...read, nextCursor: [...reached, ...read.data.map(({ id }) => id)].sort().at(-1)! };
  });
