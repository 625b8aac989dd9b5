import type { Comparison } from "../../support/rounds.ts";
import { scenario } from "../scenario.ts";
import { excess, explainCalls } from "./explain.ts";
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
    const explained = await explainCalls(database.url, callsOn(await takeSamples(database)), ({ name, buffers, ms }) =>
      bench.say(`large-tables: ${name}: ${buffers} pages, ${ms.toFixed(1)} ms`),
    );
    const readers = await compareReaders(bench, database);
    const tooMany = excess(explained);
    if (tooMany.length > 0) throw new Error(`statements read too much:\n${tooMany.join("\n")}`);
    return [statementsOf(count, explained), readers];
  },
);

function statementsOf(count: number, explained: Awaited<ReturnType<typeof explainCalls>>): Comparison {
  return {
    title: `statements, ${count} deliveries`,
    columns: [
      { metric: "buffers", label: "pages read", digits: 0 },
      { metric: "max", label: "may be", digits: 0 },
      { metric: "ms", label: "ms", digits: 1 },
    ],
    measured: explained.map(({ name, buffers, ms, max }) => ({
      name,
      rounds: [{ buffers, ms, ...(max < UNBOUNDED ? { max } : {}) }],
    })),
    ratios: [],
  };
}
