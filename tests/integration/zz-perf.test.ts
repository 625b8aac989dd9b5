import { afterAll, beforeAll, test } from "vitest";
import { createTestWorld } from "@postrider/testkit/vitest.ts";
import type { World } from "@postrider/testkit/world/world.ts";
import { newId } from "@postrider/shared/runtime/new-id.ts";
import { matching } from "@postrider/shared/store/sql/matching.ts";
import { writeExpansionPage } from "@postrider/shared/store/sql/write-expansion-page.ts";
let world: World;
beforeAll(async () => { world = await createTestWorld(); }, 100_000);
afterAll(() => world.close());
const ms = async (what: string, work: () => Promise<unknown>) => { const t = performance.now(); const r = await work(); console.log(what, Math.round(performance.now() - t), "ms"); return r; };
test("perf", async () => {
  await ms("subscribe 100k", () => world.subscribeMany(100_000, "big"));
  await world.subscribeMany(1_000, "mid");
  await world.subscribe({ tenant: "small" });
  await world.accept({ tenant: "small" });
  for (let i = 0; i < 3; i++) await ms("small", () => world.accept({ tenant: "small" }));
  for (let i = 0; i < 3; i++) await ms("one x 100k", () => world.accept({ tenant: "big" }));
  const neighbours: number[] = []; let stop = false;
  const neighbour = (async () => { while (!stop) { const t = performance.now(); await world.accept({ tenant: "small" }); neighbours.push(Math.round(performance.now() - t)); await new Promise((r) => setTimeout(r, 10)); } })();
  const shown = () => { const s = neighbours.splice(0).sort((a, b) => a - b); return `neighbours n=${s.length} p50=${s[s.length >> 1]} max=${s.at(-1)}`; };
  await ms("20 singles x 100k", () => Promise.all(Array.from({ length: 20 }, () => world.accept({ tenant: "big" })))); console.log(shown());
  await ms("batch 20 x 100k", () => world.accept(...Array.from({ length: 20 }, () => ({ tenant: "big" })))); console.log(shown());
  await ms("batch 20 x 100k fresh type", () => world.accept(...Array.from({ length: 20 }, () => ({ tenant: "big", type: "a.b.c" })))); console.log(shown());
  await ms("1000 x 1000", () => world.accept(...Array.from({ length: 1000 }, () => ({ tenant: "mid" })))); console.log(shown());
  await ms("8 x 1000 x 1000", () => Promise.allSettled(Array.from({ length: 4 }, () => world.accept(...Array.from({ length: 1000 }, () => ({ tenant: "mid" })))))); console.log(shown());
  const times: number[] = [];
  for (let i = 0; i < 20; i++) { const t = performance.now(); await writeExpansionPage(world.context.pool, "big", newId()); times.push(Math.round(performance.now() - t)); }
  console.log("pages big", times.join(" ")); console.log(shown());
  times.length = 0;
  for (let i = 0; i < 10; i++) { const t = performance.now(); await writeExpansionPage(world.context.pool, "mid", newId()); times.push(Math.round(performance.now() - t)); }
  console.log("pages mid", times.join(" ")); console.log(shown());
  stop = true; await neighbour;
  const { rows } = await world.context.pool.query(`explain (analyze, buffers) ${matching({ tenant: "'big'", patterns: "'*,order.*'", limit: "1000", from: { after: "(select id from subscriptions where tenant = 'big' order by id offset 50000 limit 1)", createdUntil: "now()" } })}`);
  console.log(rows.map((r: Record<string, string>) => r["QUERY PLAN"]).join("\n"));
}, 200_000);
