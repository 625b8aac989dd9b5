import type { Request, RequestHandler, Response } from "express";
import { DatabaseError } from "pg";
import { Registry } from "prom-client";
import { expect, test } from "vitest";
import { createIngestMetrics } from "../metrics.ts";
import { createReadLimit } from "./read-limit.ts";

const LIMITS = { perKey: 3, total: 8, slots: 4 };

const responseTo = (key: string, tenant: string | undefined) =>
  ({ locals: { keyHash: Buffer.from(key), caller: { tenant, scopes: new Set(["read"]) } } }) as unknown as Response;

function setUp() {
  const metrics = createIngestMetrics(new Registry(), { waitingRows: () => 0, bodyBytes: () => 0 });
  const limit = createReadLimit(LIMITS, metrics);
  const running: PromiseWithResolvers<void>[] = [];
  const handler: RequestHandler = () => {
    const read = Promise.withResolvers<void>();
    running.push(read);
    return read.promise;
  };
  const read = (key: string, tenant?: string, work = handler) =>
    Promise.resolve(limit(work)({} as Request, responseTo(key, tenant), () => undefined)) as Promise<void>;
  return { metrics, running, read, limit };
}

test("a tenant's key has so many reads at once, and more when one has ended", async () => {
  const { running, read } = setUp();
  for (let n = 0; n < LIMITS.perKey; n += 1) void read("a", "tenant");
  await expect(read("a", "tenant")).rejects.toMatchObject({ code: "too_many_reads", headers: { "retry-after": "1" } });
  void read("b", "tenant");
  running[0]!.resolve();
  await new Promise(setImmediate);
  void read("a", "tenant");
  await expect(read("a", "tenant")).rejects.toMatchObject({ code: "too_many_reads" });
});

test("an operator's key has half of all reads, and all keys together have a limit", async () => {
  const { read } = setUp();
  for (let n = 0; n < LIMITS.total / 2; n += 1) void read("operator");
  await expect(read("operator")).rejects.toMatchObject({ code: "too_many_reads" });
  for (const key of ["a", "b", "c", "d"]) void read(key, key);
  await expect(read("e", "e")).rejects.toMatchObject({ code: "reads_overloaded", headers: { "retry-after": "1" } });
});

test("a read that fails frees its place, and one that Postgres canceled says what to do", async () => {
  const { metrics, read } = setUp();
  const fail =
    (error: Error): RequestHandler =>
    async () => {
      throw error;
    };
  const canceled = Object.assign(new DatabaseError("canceling statement", 1, "error"), { code: "57014" });
  for (let n = 0; n < LIMITS.total * 2; n += 1) {
    await expect(read("a", "tenant", fail(canceled))).rejects.toMatchObject({ code: "read_timeout" });
    await expect(read("a", "tenant", fail(new Error("other")))).rejects.toThrow("other");
  }
  expect((await metrics.reads.get()).values[0]?.value).toBe(0);
});

test("a key has half of the slots, the others wait for it, and a slot rests after its read", async () => {
  const { running, read } = setUp();
  for (let n = 0; n < LIMITS.perKey; n += 1) void read("a", "a");
  expect(running).toHaveLength(LIMITS.slots / 2);
  for (let n = 0; n < LIMITS.perKey; n += 1) void read("b", "b");
  expect(running).toHaveLength(LIMITS.slots);
  running[0]!.resolve();
  await new Promise(setImmediate);
  expect(running).toHaveLength(LIMITS.slots);
  await expect.poll(() => running.length).toBe(LIMITS.slots + 1);
});
