import { READ_PLANS } from "../../../packages/shared/src/store/bounded-list.ts";
import { STEADY_PLANS } from "../../../packages/shared/src/store/pool.ts";
import type { Database } from "../../support/database.ts";
import type { Comparison, Measured } from "../../support/rounds.ts";
import { scenario } from "../scenario.ts";
import type { Bench } from "../suite.ts";
import { createExplainer } from "./explain.ts";
import { compareReaders } from "./readers.ts";
import { takeSamples } from "./sample.ts";
import { seedLargeTables } from "./seed.ts";
import { callsOn, UNBOUNDED } from "./statements.ts";

const SIZE = { quick: 100_000, full: 10_000_000 };

/** What statements read, and what readers cost others, with a month of deliveries. */
export const largeTables = scenario(
  "large-tables",
  "10 million deliveries over 30 days, a tenth held, a tenth retrying: pages that each statement reads; 25 readers",
  async (bench, database) => {
    const count = bench.deliveries ?? SIZE[bench.isQuick ? "quick" : "full"];
    await seedLargeTables(database, count, (line) => bench.say(`large-tables: ${line}`));
    const tooMany: string[] = [];
    const statements = await explainStatements(bench, database, count, tooMany);
    const readers = await compareReaders(bench, database);
    if (tooMany.length > 0) throw new Error(`statements read too much:\n${tooMany.join("\n")}`);
    return [statements, readers];
  },
);

/** @param tooMany receives the statements that read more pages than they may */
async function explainStatements(
  { say }: Bench,
  database: Database,
  count: number,
  tooMany: string[],
): Promise<Comparison> {
  const worker = await createExplainer(database.url, STEADY_PLANS);
  const reads = await createExplainer(database.url, READ_PLANS);
  const measured: Measured[] = [];
  try {
    for (const { name, isList, max, run } of callsOn(await takeSamples(database))) {
      const { buffers, ms } = await (isList ? reads : worker).explain(run);
      say(`large-tables: ${name}: ${buffers} pages, ${ms.toFixed(1)} ms`);
      measured.push({ name, rounds: [{ buffers, ms, ...(max < UNBOUNDED ? { max } : {}) }] });
      if (buffers > max) tooMany.push(`${name}: ${buffers} pages, more than ${max}`);
    }
  } finally {
    await worker.close();
    await reads.close();
  }
  return {
    title: `statements, ${count} deliveries`,
    columns: [
      { metric: "buffers", label: "pages read", digits: 0 },
      { metric: "max", label: "may be", digits: 0 },
      { metric: "ms", label: "ms", digits: 1 },
    ],
    measured,
    ratios: [],
  };
}
