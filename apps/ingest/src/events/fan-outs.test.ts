import { expect, test } from "vitest";
import { FanOuts } from "./fan-outs.ts";

const large = { tenant: "a", type: "order.created" };
const small = { tenant: "b", type: "order.created" };
const wrote = (size: number, expanding = false) => ({ size, expanding });

test("large fan-outs are remembered by tenant and type, until an event has a small one", () => {
  const fanOuts = new FanOuts();
  expect(fanOuts.estimate([large, small], 0)).toBe(0);
  fanOuts.learn(large, wrote(1_000, true), 0);
  fanOuts.learn(small, wrote(3), 0);
  expect(fanOuts.estimate([large, small, large], 60_000)).toBe(2_000);
  fanOuts.learn(large, wrote(0), 60_000);
  expect(fanOuts.estimate([large], 60_000)).toBe(0);
});

test("after a large fan-out, every event of the tenant has a load for some seconds, whatever its type", () => {
  const fanOuts = new FanOuts();
  fanOuts.learn(large, wrote(1_000, true), 0);
  for (let n = 0; n < 500; n += 1) expect(fanOuts.estimate([{ tenant: "a", type: `t${n}` }], n)).toBe(1_000);
  // A type with a small fan-out stays apart from others' events, and weighs little.
  fanOuts.learn({ tenant: "a", type: "few" }, wrote(2), 0);
  expect(fanOuts.estimate([{ tenant: "a", type: "few" }], 5_000)).toBe(1);
  expect(fanOuts.estimate([small], 5_000)).toBe(0);
  expect(fanOuts.estimate([{ tenant: "a", type: "few" }], 10_000)).toBe(0);
  expect(fanOuts.estimate([{ tenant: "a", type: "new" }], 10_000)).toBe(0);
});

test("an event that was cut with few deliveries says nothing about its fan-out", () => {
  const fanOuts = new FanOuts();
  fanOuts.learn(large, wrote(1_000, true), 0);
  fanOuts.learn(large, wrote(7, true), 0);
  expect(fanOuts.estimate([large], 0)).toBe(1_000);
});

test("tenants whose large fan-outs are long ago are forgotten", () => {
  const fanOuts = new FanOuts();
  for (let n = 0; n <= 1_000; n += 1) fanOuts.learn({ tenant: `t${n}`, type: "x" }, wrote(1_000, true), 0);
  expect(fanOuts.estimate([{ tenant: "t0", type: "x" }], 0)).toBe(0);
  expect(fanOuts.estimate([{ tenant: "t1", type: "x" }], 0)).toBe(1_000);
});

test("a refused type is refused until its time is over, other types have a load, and other tenants have neither", () => {
  const fanOuts = new FanOuts();
  const other = { tenant: "a", type: "other" };
  fanOuts.refuse(large, 1, 0);
  expect(fanOuts.isRefused([small, large], 999)).toBe(true);
  expect(fanOuts.isRefused([other, small], 999)).toBe(false);
  expect(fanOuts.isRefused([large], 1_000)).toBe(false);
  expect(fanOuts.estimate([other], 999)).toBeGreaterThan(0);
  expect(fanOuts.estimate([small], 999)).toBe(0);
});

test("after a batch was refused, smaller requests are tried", () => {
  const fanOuts = new FanOuts();
  fanOuts.refuse(large, 100, 0);
  expect(
    fanOuts.isRefused(
      Array.from({ length: 100 }, () => large),
      1,
    ),
  ).toBe(true);
  expect(fanOuts.isRefused([large], 1)).toBe(false);
});
