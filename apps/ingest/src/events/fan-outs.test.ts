import { expect, test } from "vitest";
import { FanOuts, Refusals } from "./fan-outs.ts";

const large = { tenant: "a", type: "order.created" };
const small = { tenant: "b", type: "order.created" };

test("large fan-outs are remembered by tenant and type, until an event has a small one", () => {
  const fanOuts = new FanOuts();
  expect(fanOuts.estimate([large, small])).toBe(0);
  fanOuts.learn(large, 1_000);
  fanOuts.learn(small, 3);
  expect(fanOuts.estimate([large, small, large])).toBe(2_000);
  fanOuts.learn(large, 0);
  expect(fanOuts.estimate([large])).toBe(0);
});

test("fan-outs that were not seen for long are forgotten", () => {
  const fanOuts = new FanOuts();
  for (let n = 0; n <= 10_000; n += 1) fanOuts.learn({ tenant: "a", type: `t${n}` }, 1_000);
  expect(fanOuts.estimate([{ tenant: "a", type: "t0" }])).toBe(0);
  expect(fanOuts.estimate([{ tenant: "a", type: "t1" }])).toBe(1_000);
});

test("a refused type is refused until its time is over, and other types are not", () => {
  const refusals = new Refusals();
  refusals.add(large, 100);
  expect(refusals.has([small, large], 99)).toBe(true);
  expect(refusals.has([small], 99)).toBe(false);
  expect(refusals.has([large], 100)).toBe(false);
});
