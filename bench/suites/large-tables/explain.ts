import pg from "pg";
import { STEADY_PLANS, type Queryable } from "../../../packages/shared/src/store/pool.ts";
import { READ_PLANS } from "../../../packages/shared/src/store/bounded-list.ts";
import { connectTo } from "../../../packages/shared/src/store/session.ts";
import type { Call } from "./statements.ts";

type Explained = Call & Cost;

/** Explains each call under the settings that it runs with. */
export async function explainCalls(
  url: string,
  calls: readonly Call[],
  onEach: (explained: Explained) => void = () => undefined,
): Promise<Explained[]> {
  const worker = await createExplainer(url, STEADY_PLANS);
  const reads = await createExplainer(url, READ_PLANS);
  try {
    const explained: Explained[] = [];
    for (const call of calls) {
      const one = { ...call, ...(await (call.isList ? reads : worker).explain(call.run)) };
      onEach(one);
      explained.push(one);
    }
    return explained;
  } finally {
    await worker.close();
    await reads.close();
  }
}

/** A line for each call that read more pages than it may. */
export const excess = (explained: readonly Explained[]): string[] =>
  explained
    .filter(({ buffers, max }) => buffers > max)
    .map(({ name, buffers, max }) => `${name}: ${buffers} pages, more than ${max}`);

/** What the statements of a call took. */
interface Cost {
  /** Pages of 8 kB that were read, cached or not, without triggers. */
  buffers: number;
  ms: number;
}

interface Plan {
  "Shared Hit Blocks": number;
  "Shared Read Blocks": number;
}

interface Explainer {
  /** Runs a call whose statements are explained and rolled back. */
  explain(call: (db: Queryable) => Promise<unknown>): Promise<Cost>;
  close(): Promise<void>;
}

/**
 * A connection that explains what it really runs, prepared statements and generic plans included.
 *
 * @param serverSettings the ones of the pool that the statements run on
 */
async function createExplainer(url: string, serverSettings: string): Promise<Explainer> {
  const client = new pg.Client(connectTo(url, serverSettings));
  client.on("error", () => undefined);
  await client.connect();
  await client.query("load 'auto_explain'");
  await client.query(
    "set auto_explain.log_analyze = on; set auto_explain.log_buffers = on; set auto_explain.log_timing = off",
  );
  await client.query("set auto_explain.log_format = json; set client_min_messages = log");
  let cost: Cost = { buffers: 0, ms: 0 };
  client.on("notice", ({ message = "" }) => {
    const [, ms, plan] = /^duration: ([\d.]+) ms {2}plan:\n(.*)$/s.exec(message) ?? [];
    if (ms === undefined || plan === undefined) return;
    const { Plan: root } = JSON.parse(plan) as { Plan: Plan };
    cost = { buffers: cost.buffers + root["Shared Hit Blocks"] + root["Shared Read Blocks"], ms: cost.ms + Number(ms) };
  });
  async function query(config: string | pg.QueryConfig, values?: unknown[]): Promise<pg.QueryResult> {
    await client.query("begin; set local auto_explain.log_min_duration = 0");
    try {
      return await client.query(config as pg.QueryConfig, values);
    } finally {
      await client.query("rollback");
    }
  }
  return {
    async explain(call) {
      // The first run also sets hint bits and reads the catalog.
      await call({ query } as unknown as Queryable);
      cost = { buffers: 0, ms: 0 };
      await call({ query } as unknown as Queryable);
      return cost;
    },
    close: () => client.end(),
  };
}
