import { familyRange, type IdRange } from "../../core/ids/id-range.ts";
import type { Queryable } from "../pool.ts";
import { batchBehind, matching } from "./matching.ts";

/** Deliveries per page: about 30 ms of Postgres. */
const PAGE = 1_000;
/** Small expansions share a page. */
const MAX_EVENTS = 25;

export interface ExpansionPage {
  /** Unfinished events that were found; 0 where nothing is left to do. */
  events: number;
  /** Deliveries that were written. */
  written: number;
  /** The batches to dispatch. */
  batches: ({ id: string; size: number } & IdRange)[];
}

interface Row {
  kind: "page" | "batch";
  id: string | null;
  size: number;
  from: string | null;
  to: string | null;
}

/** Events that have nothing yet and fit in a page go first: most likely their statement was full when their turn came. */
const TURN = `(written = 0 and matches <= ${PAGE}) desc, event_id`;

/**
 * The rows stay locked until the commit, so a second process that works for the same tenant goes on behind this page.
 * `matched` stops reading at the limit; `bound` has the last event that was read where it may have more matches, as in
 * accept.ts. An event whose subscriptions have all been read is done: its number of deliveries is final.
 */
const TEXT = `
  with picked as materialized (
    select *, row_number() over (order by ${TURN}) as n
    from (select * from expansions where tenant = $1 order by ${TURN} limit ${MAX_EVENTS} for update) x
  ), matched as materialized (
    select p.*, wanting.subscription_id, wanting.place
    from (select * from picked order by n) p left join lateral (
      ${matching({
        tenant: "p.tenant",
        patterns: "p.patterns",
        limit: String(PAGE),
        from: { after: "p.last_subscription", createdUntil: "p.accepted_at" },
      })}
    ) wanting on true
    limit ${PAGE}
  ), bound as materialized (
    select case when count(*) = ${PAGE} then max(n) end as n from matched
  ), delivery as (
    insert into deliveries (id, event_id, subscription_id, tenant, event_type, state, batch_id)
    select delivery_id(event_id, subscription_id), event_id, subscription_id, tenant, event_type, 'pending',
      batch_id($2, first + (row_number() over (partition by first order by n, place) - 1) / 100)
    from (
      select *, greatest(first_batch, ${batchBehind("(written + place)")}) as first
      from matched where subscription_id is not null
    ) placed
    on conflict do nothing
    returning event_id, batch_id
  ), progress as materialized (
    select m.event_id, (array_agg(m.subscription_id order by m.place desc))[1] as last_subscription,
      max(m.written) + (select count(*) from delivery d where d.event_id = m.event_id)::int as written,
      count(m.subscription_id) = 0 or m.n is distinct from (select n from bound) as is_done
    from matched m group by m.n, m.event_id
  ), done as (
    select event_id as id, written from progress where is_done
  ), advanced as (
    update expansions x set last_subscription = p.last_subscription, written = p.written
    from progress p where x.event_id = p.event_id and not p.is_done
  ), ended as (
    delete from expansions where event_id = any (array(select id from done))
  ), counted as (
    update events e set delivery_count = (select d.written from done d where d.id = e.id)
    where e.id = any (array(select id from done))
      and e.id >= (select id from done order by id limit 1) and e.id <= (select id from done order by id desc limit 1)
  )
  select 'page' as kind, null::uuid as id, count(*)::int as size, null::text as "from", null::text as "to" from picked
  union all
  select 'batch', batch_id, count(*)::int, min(event_id::text), max(event_id::text) from delivery group by batch_id`;

/**
 * Writes the next deliveries of a tenant's unfinished events, small and then old events first, in one statement and so in
 * one commit. Subscriptions are judged as they stand now; later ones than the event are left out.
 *
 * @param batchSeed a new UUIDv7; the ids of the batches are derived from it
 */
export async function writeExpansionPage(db: Queryable, tenant: string, batchSeed: string): Promise<ExpansionPage> {
  const { rows } = await db.query<Row>({ name: "write-expansion-page", text: TEXT, values: [tenant, batchSeed] });
  const batches = rows
    .filter(({ kind }) => kind === "batch")
    .map(({ id, size, from, to }) => ({ id: id!, size, ...familyRange([from!, to!]) }));
  return {
    events: rows.find(({ kind }) => kind === "page")?.size ?? 0,
    written: batches.reduce((sum, { size }) => sum + size, 0),
    batches,
  };
}
