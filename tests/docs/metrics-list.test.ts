import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { expect, test } from "vitest";
import { newTenant } from "@postrider/testkit/factories/events.ts";
import { useStack } from "@postrider/testkit/vitest.ts";
import { waitFor } from "@postrider/testkit/wait.ts";

const docs = readFileSync(resolve(import.meta.dirname, "../../docs/metrics.md"), "utf8");
const e2e = useStack({ console: true });

interface Metric {
  type: string;
  of: string;
}

/** By name, as the table in the docs has them. */
function documented(): Map<string, Metric> {
  const rows = docs.matchAll(/^\| `(postrider_\w+)` \| (\w+) \|.*\| ([\w, *]+) \| [^|]*\|$/gm);
  return new Map([...rows].map(([, name, type, of]) => [name!, { type: type!, of: of! }]));
}

/** By name, as a process exports them. */
async function exported(adminUrl: string): Promise<Map<string, string>> {
  const text = await (await fetch(`${adminUrl}/metrics`)).text();
  return new Map([...text.matchAll(/^# TYPE (postrider_\w+) (\w+)$/gm)].map(([, name, type]) => [name!, type!]));
}

test("the docs list exactly the exported metrics, with type and process", async () => {
  const tenant = newTenant();
  const endpoint = e2e.receiver.endpoint();
  await e2e.api.subscribe({ tenant, url: endpoint.url });
  const event = await e2e.api.send({ type: "order.created", data: 1, tenant });
  await e2e.api.untilDelivery(event.id, "delivered");
  const { ingest, workers, console: ops } = e2e.stack;
  // A worker whose commands to Redis time out on a busy machine becomes the exporter with a later scrape.
  await waitFor("the worker exports the fleet's metrics", async () =>
    (await exported(workers[0]!.adminUrl)).has("postrider_workers"),
  );
  const processes = {
    ingest: await exported(ingest.adminUrl),
    worker: await exported(workers[0]!.adminUrl),
    console: await exported(ops!.adminUrl),
  };
  const listed = documented();
  const names = new Set(Object.values(processes).flatMap((metrics) => [...metrics.keys()]));
  expect([...names].sort()).toEqual([...listed.keys()].sort());
  for (const [name, { type, of }] of listed) {
    const expected = of === "all" ? Object.keys(processes) : of === "*fleet*" ? ["worker"] : of.split(", ");
    const found = Object.entries(processes).filter(([, metrics]) => metrics.get(name) === type);
    expect([name, ...found.map(([app]) => app)]).toEqual([name, ...expected]);
  }
});
