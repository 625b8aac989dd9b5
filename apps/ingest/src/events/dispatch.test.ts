import { EventEmitter } from "node:events";
import { Writable } from "node:stream";
import { Registry } from "prom-client";
import { expect, test } from "vitest";
import type { Batch } from "@postrider/shared/queue/jobs.ts";
import { newId } from "@postrider/shared/runtime/new-id.ts";
import { createLogger } from "@postrider/shared/runtime/telemetry/logger.ts";
import { createIngestMetrics } from "../metrics.ts";
import { createDispatcher } from "./dispatch.ts";

/** A Redis that refuses every job until `recover` is called. */
function refusingRedis() {
  const lines: { msg: string; err?: { message: string } }[] = [];
  const added: string[] = [];
  let isFull = true;
  const add = async (_name: string, _data: unknown, { jobId }: { jobId: string }) => {
    if (isFull) throw new Error("OOM command not allowed when used memory > 'maxmemory'.");
    added.push(jobId);
  };
  const addBulk = async (jobs: { opts: { jobId: string } }[]) => {
    for (const { opts } of jobs) await add("", {}, opts);
  };
  const sink = new Writable({
    write: (line: Buffer, _encoding, done) => (
      lines.push(JSON.parse(line.toString()) as (typeof lines)[number]),
      done()
    ),
  });
  const registry = new Registry();
  const redis = Object.assign(new EventEmitter(), { postriderRetryTurn: async () => 0 });
  const dispatch = createDispatcher(
    { dispatch: { add, addBulk } } as never,
    redis as never,
    createIngestMetrics(registry, { waitingRows: () => 0, bodyBytes: () => 0 }),
    createLogger("ingest", "info", sink),
  );
  const recover = () => {
    isFull = false;
    redis.emit("ready");
  };
  return { dispatch, recover, lines, added, registry };
}

const newBatch = (): Batch => ({ id: newId(), size: 1, from: newId(), to: newId() });

test("the log says once per outage why Redis refuses batches, and each batch is dispatched when Redis is back", async () => {
  const { dispatch, recover, lines, added, registry } = refusingRedis();
  const batches = [newBatch(), newBatch()];
  for (const batch of batches) dispatch([batch]);
  await expect.poll(() => registry.metrics()).toContain("postrider_dispatch_enqueue_failures_total 2");
  expect(lines).toHaveLength(1);
  expect(lines[0]).toMatchObject({
    msg: expect.stringContaining("could not dispatch batches"),
    err: { message: expect.stringContaining("OOM command not allowed") },
  });
  // A failed batch is kept after the failure is counted.
  await new Promise(setImmediate);
  recover();
  await expect.poll(() => added).toEqual(batches.map(({ id }) => id));
  await expect.poll(() => lines.map(({ msg }) => msg)).toContain("dispatching batches again");
});
