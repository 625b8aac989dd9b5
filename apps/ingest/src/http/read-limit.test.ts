import type { Request, RequestHandler, Response } from "express";
import { DatabaseError } from "pg";
import { Registry } from "prom-client";
import { expect, test } from "vitest";
import { createIngestMetrics } from "../metrics.ts";
import { createReadLimit } from "./read-limit.ts";

const LIMITS = { perTenant: 3, total: 8, slots: 4 };

const responseTo = (tenant: string | undefined) =>
  ({ locals: { caller: { tenant, scopes: new Set(["read"]) } } }) as unknown as Response;

function setUp(limits = LIMITS) {
  const metrics = createIngestMetrics(new Registry(), { waitingRows: () => 0, bodyBytes: () => 0 });
  const limit = createReadLimit(limits, metrics);
  const running: PromiseWithResolvers<void>[] = [];
  const handler: RequestHandler = () => {
    const read = Promise.withResolvers<void>();
    running.push(read);
    return read.promise;
  };
  const read = (tenant?: string, work = handler) =>
    Promise.resolve(limit(work)({} as Request, responseTo(tenant), () => undefined)) as Promise<void>;
  return { metrics, running, read, limit };
}

test("a tenant has so many reads at once, and more when one has ended", async () => {
  const { running, read } = setUp();
  for (let n = 0; n < LIMITS.perTenant; n += 1) void read("tenant");
  await expect(read("tenant")).rejects.toMatchObject({
    code: "too_many_reads",
    headers: { "retry-after": "1" },
  });
  void read("other");
  running[0]!.resolve();
  await new Promise(setImmediate);
  void read("tenant");
  await expect(read("tenant")).rejects.toMatchObject({ code: "too_many_reads" });
});

test("all operator keys together have half of what tenants leave free, and all callers have a limit", async () => {
  const { read } = setUp();
  for (let n = 0; n < LIMITS.total / 2; n += 1) void read();
  await expect(read()).rejects.toMatchObject({ code: "too_many_reads" });
  for (const tenant of ["a", "b", "c", "d"]) void read(tenant);
  await expect(read("e")).rejects.toMatchObject({ code: "reads_overloaded", headers: { "retry-after": "1" } });
});

test("a caller never takes the last places of all", async () => {
  const { read } = setUp();
  for (let n = 0; n < LIMITS.total / 2; n += 1) void read();
  void read("a");
  void read("a");
  await expect(read("a")).rejects.toMatchObject({ code: "too_many_reads" });
  void read("b");
  void read("c");
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
    await expect(read("tenant", fail(canceled))).rejects.toMatchObject({ code: "read_timeout" });
    await expect(read("tenant", fail(new Error("other")))).rejects.toThrow("other");
  }
  expect((await metrics.reads.get()).values[0]?.value).toBe(0);
});

test("a caller has half of the slots that the others leave, and a slot rests after its read", async () => {
  const { running, read } = setUp({ ...LIMITS, total: 32 });
  for (let n = 0; n < LIMITS.perTenant; n += 1) void read("a");
  expect(running).toHaveLength(LIMITS.slots / 2);
  for (const caller of ["b", "c"]) {
    const before = running.length;
    void read(caller);
    void read(caller);
    expect(running).toHaveLength(before + 1);
  }
  expect(running).toHaveLength(LIMITS.slots);
  running[0]!.resolve();
  void read("d");
  await new Promise(setImmediate);
  expect(running).toHaveLength(LIMITS.slots);
  await expect.poll(() => running.length).toBe(LIMITS.slots + 1);
});

test("reads that wait use every slot that the others give up", async () => {
  const { running, read } = setUp();
  void read("b");
  void read("c");
  for (let n = 0; n < LIMITS.perTenant; n += 1) void read("a");
  expect(running).toHaveLength(3);
  running[0]!.resolve();
  running[1]!.resolve();
  await expect.poll(() => running.length).toBe(4);
});
