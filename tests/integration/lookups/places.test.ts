import { expect, test } from "vitest";
import type { LookupResult } from "@postrider/shared/runtime/dns/lookup-result.ts";
import { addressesOf, runResolver } from "./running-resolver.ts";

const DEAD = { tenant: "dead" };
const zones = { "silent.example": "silent", "shop.example": { a: ["192.0.2.1"] } } as const;

const retryInMs = (result: LookupResult): number => {
  if (result.kind !== "unavailable") throw new Error(`it is ${result.kind}`);
  expect(result.reason).toBe("busy");
  return result.retryInMs;
};

test("a name that a tenant without a free place asked for first is looked up in a place of another tenant", async () => {
  const { lookUp, resolver, count } = await runResolver({ zones });
  for (let index = 0; index < 48; index += 1) void lookUp(`${index}.silent.example`, DEAD);
  const first = lookUp("shop.example", DEAD);
  expect(await count()).toEqual({ underWay: 48, waiting: 1 });
  const second = lookUp("shop.example");
  expect(await count()).toEqual({ underWay: 49, waiting: 0 });
  expect(addressesOf(await first)).toEqual(["192.0.2.1"]);
  expect(addressesOf(await second)).toEqual(["192.0.2.1"]);
  resolver.close();
});

test("each caller of a name waits a second for a place, and not only as long as the first one", async () => {
  const { lookUp, resolver, count } = await runResolver({ zones });
  for (const tenant of ["dead", "other"]) {
    for (let index = 0; index < 48; index += 1) void lookUp(`${index}.${tenant}.silent.example`, { tenant });
  }
  const first = lookUp("shop.example", DEAD);
  // Half a second passes.
  await lookUp("any.silent.example", { tenant: "third", timeoutMs: 550 });
  const second = lookUp("shop.example", { tenant: "other" });
  expect(retryInMs(await first)).toBeGreaterThan(0);
  expect(await count()).toEqual({ underWay: 96, waiting: 1 });
  expect(retryInMs(await second)).toBeGreaterThan(0);
  resolver.close();
});

test("the more look-ups of a tenant find no place, the later they are tried again, and they do not wait at all", async () => {
  const { lookUp, resolver, count } = await runResolver({ zones });
  for (let index = 0; index < 48; index += 1) void lookUp(`${index}.silent.example`, DEAD);
  const many = Array.from({ length: 1_000 }, (_, index) => lookUp(`${index}.more.silent.example`, DEAD));
  const delays = (await Promise.all(many)).map(retryInMs);
  expect(delays[0]).toBeLessThan(3_000);
  expect(Math.max(...delays)).toBeGreaterThan(59_000);
  // It does not wait.
  const another = lookUp("another.silent.example", DEAD);
  expect(await count()).toEqual({ underWay: 48, waiting: 0 });
  expect(retryInMs(await another)).toBeGreaterThan(50_000);
  // Names of others are not affected.
  expect(addressesOf(await lookUp("shop.example"))).toEqual(["192.0.2.1"]);
  resolver.close();
});
