// Reads a list again and again, until it is stopped. A reader that is refused waits for as long as Retry-After says.
import { setTimeout as sleep } from "node:timers/promises";
import { Pool } from "undici";
import { onOrders, readTask, report } from "@postrider/testkit/processes/parent.ts";

export interface ReadersTask {
  origin: string;
  apiKey: string;
  path: string;
  readers: number;
}

export interface ReadersReport {
  kind: "read";
  answered: number;
  refused: number;
  unavailable: number;
}

const { origin, apiKey, path, readers } = readTask() as ReadersTask;
const pool = new Pool(origin, { connections: readers, pipelining: 1 });
const counts: ReadersReport = { kind: "read", answered: 0, refused: 0, unavailable: 0 };
const stopping = new AbortController();
onOrders(() => stopping.abort());
report({ kind: "ready" });
await Promise.all(Array.from({ length: readers }, read));
report(counts);

async function read(): Promise<void> {
  while (!stopping.signal.aborted) {
    const answer = await pool.request({ method: "GET", path, headers: { authorization: `Bearer ${apiKey}` } });
    await answer.body.dump();
    if (answer.statusCode === 200) counts.answered += 1;
    else if (answer.statusCode === 429) counts.refused += 1;
    else counts.unavailable += 1;
    if (answer.statusCode !== 200) await sleep(Number(answer.headers["retry-after"] ?? 1) * 1_000);
  }
}
