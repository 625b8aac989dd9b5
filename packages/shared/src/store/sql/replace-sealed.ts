import type { Queryable } from "../pool.ts";
import type { StoredHeaders, StoredSecret } from "../schema/subscriptions.ts";

/** What is sealed of a subscription. */
export interface SealedRow {
  id: string;
  secrets: StoredSecret[];
  headers: StoredHeaders;
}

export interface ReplacedSealed {
  before: SealedRow;
  after: Pick<SealedRow, "secrets" | "headers">;
}

// Locks in the order of the ids. `updated_at` stays: the subscription is the same.
const TEXT = `
  with given as (
    select * from jsonb_to_recordset($1) g (id uuid, secrets jsonb, headers jsonb, new_secrets jsonb, new_headers jsonb)
  ), locked as materialized (
    select id from subscriptions where id = any ($2::uuid[]) order by id for no key update
  )
  update subscriptions s set secrets = g.new_secrets, headers = g.new_headers
  from given g where s.id = any ($2::uuid[]) and s.id in (select id from locked) and s.id = g.id
    and s.secrets = g.secrets and s.headers = g.headers`;

/**
 * Stores what was sealed again, but for subscriptions that have changed meanwhile.
 *
 * @returns how many were stored
 */
export async function replaceSealed(db: Queryable, rows: readonly ReplacedSealed[]): Promise<number> {
  const given = rows.map(({ before, after }) => ({
    ...before,
    new_secrets: after.secrets,
    new_headers: after.headers,
  }));
  const { rowCount } = await db.query(TEXT, [JSON.stringify(given), rows.map(({ before }) => before.id)]);
  return rowCount ?? 0;
}
