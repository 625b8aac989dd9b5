import type { Database } from "../../support/database.ts";
import { LARGE_TENANT, subscriptionId } from "./seed.ts";

export interface Sample {
  id: string;
  event: string;
  subscription: string;
  batch: string | null;
}

/** Rows for the statements to work on. */
export interface Samples {
  /** The subscription whose deliveries are all held, and another one, of the large tenant. */
  held: string;
  busy: string;
  /** A hundred of each state, spread over all days. */
  inState: Readonly<Record<"held" | "retrying" | "delivered" | "dead", Sample[]>>;
  pending: Sample[];
  /** The oldest partition of deliveries. */
  partition: string;
}

const COUNT = 100;

export async function takeSamples(database: Database): Promise<Samples> {
  const count = await database.count("select count(*)::int as count from deliveries");
  const percent = Math.max(5, Math.min(100, 10_000_000 / count));
  const spread = (state: string) =>
    database.rows<Sample>(
      `select id, event_id as event, subscription_id as subscription, batch_id as batch
       from deliveries tablesample bernoulli (${percent}) where state = '${state}' order by random() limit ${COUNT}`,
    );
  const [own] = await database.rows<{ held: string; busy: string }>(
    `select ${subscriptionId(0, 0)} as held, ${subscriptionId(0, 5)} as busy`,
  );
  const [oldest] = await database.rows<{ partition: string }>(
    `select tableoid::regclass::text as partition from deliveries where tenant = '${LARGE_TENANT}' order by id limit 1`,
  );
  return {
    ...own!,
    ...oldest!,
    inState: {
      held: await spread("held"),
      retrying: await spread("retrying"),
      delivered: await spread("delivered"),
      dead: await spread("dead"),
    },
    pending: await database.rows<Sample>(
      "select id, event_id as event, subscription_id as subscription, batch_id as batch from deliveries where state = 'pending' limit 100",
    ),
  };
}
