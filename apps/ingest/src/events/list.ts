import type { RequestHandler } from "express";
import type { z } from "zod";
import { lastIdBefore } from "@postrider/shared/core/ids/id-range.ts";
import { toPublicId } from "@postrider/shared/core/ids/id.ts";
import { listEventRows, type ListedEvent } from "@postrider/shared/store/sql/list-events.ts";
import { readSettledTime } from "@postrider/shared/store/sql/read-settled-time.ts";
import type { Context } from "../context.ts";
import { EMPTY_PAGE, pagingOf, toPage, type Page } from "../http/page.ts";
import { query } from "../http/parse-request.ts";
import { callerOf } from "../http/request-locals.ts";
import { listedTenant } from "../http/tenancy.ts";
import { eventFilter } from "./input.ts";
import { presentEvent } from "./present.ts";

type Filter = z.output<typeof eventFilter>;

/** `GET /events` */
export function listEvents(context: Context): RequestHandler {
  return async (request, response) => {
    const filter = query(request, eventFilter);
    const tenant = listedTenant(callerOf(response), filter.tenant);
    if (tenant === undefined) return void response.json(EMPTY_PAGE);
    const { after } = filter;
    response.json(
      await (after === undefined ? page(context, filter, tenant) : pageAfter(context, filter, tenant, after)),
    );
  };
}

async function page({ readPool }: Context, filter: Filter, tenant: string | null): Promise<Page<object>> {
  const rows = await listEventRows(readPool, pagingOf(filter), { tenant, type: filter.type ?? null });
  return toPage(rows, filter.limit, presentEvent, cursorOf);
}

/**
 * A page that skips no event, also where one with an older id is committed later: it ends before the first id that may
 * still come. Its cursor is null only at `until`, since otherwise there will be more.
 */
async function pageAfter(
  context: Context,
  filter: Filter,
  tenant: string | null,
  after: string,
): Promise<Page<object>> {
  // By a statement before the one that reads the events, which then sees all that was committed until here.
  const settled = await readSettledTime(context.readPool);
  const until = Math.min(filter.until ?? settled, settled);
  const read = await page(context, { ...filter, order: "asc", cursor: after, until }, tenant);
  if (read.nextCursor !== null || until !== settled) return read;
  const end = lastIdBefore(settled);
  return { ...read, nextCursor: toPublicId("evt", after > end ? after : end) };
}

const cursorOf = ({ id }: ListedEvent): string => toPublicId("evt", id);
