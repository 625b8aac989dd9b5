import { setImmediate } from "node:timers/promises";
import { expect, test } from "vitest";
import { BodyBudget } from "./body-budget.ts";

const never = new AbortController().signal;
const MAX = 100;

/** A budget of 100 bytes; a tenant's share is 25. */
function setUp() {
  const budget = new BodyBudget(MAX);
  const granted: string[] = [];
  const ask = (tenant: string, bytes: number, signal = never) =>
    void budget.acquire(tenant, { bytes, deliveries: 1 }, signal).then((isGranted) => {
      if (isGranted) granted.push(`${tenant} ${bytes}`);
    });
  const grants = async () => {
    await setImmediate();
    return granted.splice(0);
  };
  return { budget, ask, grants };
}

test("bodies that wait for a slot never take more than the budget, and a released part goes to the next in turn", async () => {
  const { budget, ask, grants } = setUp();
  for (const tenant of ["a", "b", "c", "d", "e"]) ask(tenant, 20);
  expect(await grants()).toEqual(["a 20", "b 20", "c 20", "d 20", "e 20"]);
  ask("a", 5);
  ask("b", 5);
  expect(await grants()).toEqual([]);
  expect(budget.used).toBe(MAX);
  budget.release("c", 5);
  expect(await grants()).toEqual(["a 5"]);
  expect(budget.used).toBe(MAX);
});

test("a tenant that uses nothing is served though others have taken the budget, as long as that at most doubles it", async () => {
  const { budget, ask, grants } = setUp();
  budget.add("slow", MAX);
  for (const tenant of ["a", "b", "c"]) ask(tenant, 40);
  expect(await grants()).toEqual(["a 40", "b 40"]);
  budget.release("a", 40);
  expect(await grants()).toEqual(["c 40"]);
  expect(budget.used).toBe(2 * MAX - 20);
});

test("a tenant that is alone may use the whole budget", async () => {
  const { budget, ask, grants } = setUp();
  budget.add("only", 30);
  for (let body = 0; body < 8; body += 1) ask("only", 10);
  expect(await grants()).toHaveLength(7);
  expect([budget.used, budget.isFull]).toEqual([MAX, true]);
  ask("other", 10);
  expect(await grants()).toEqual(["other 10"]);
  budget.release("only", 10);
  expect(await grants()).toEqual([]);
});

test("a tenant whose bodies keep waiting takes a quarter of the budget, and the others are served beside it", async () => {
  const { budget, ask, grants } = setUp();
  ask("other", 10);
  for (let body = 0; body < 10; body += 1) ask("slow", 10);
  expect(await grants()).toEqual(["other 10", "slow 10", "slow 10"]);
  expect(budget.isFull).toBe(true);
  budget.release("slow", 10);
  expect(await grants()).toEqual(["slow 10"]);
});

test("tenants take turns for what is released", async () => {
  const { budget, ask, grants } = setUp();
  budget.add("loaded", 2 * MAX);
  for (const tenant of ["a", "a", "a", "b", "b", "c"]) ask(tenant, 5);
  expect(await grants()).toEqual([]);
  budget.release("loaded", 2 * MAX);
  expect(await grants()).toEqual(["a 5", "b 5", "c 5", "a 5", "b 5", "a 5"]);
});

test("a small body does not overtake a large one of another tenant whose turn it is", async () => {
  const { budget, ask, grants } = setUp();
  budget.add("loaded", 86);
  budget.add("large", 2);
  budget.add("small", 2);
  ask("large", 20);
  ask("small", 5);
  expect(await grants()).toEqual([]);
  budget.release("loaded", 86);
  expect(await grants()).toEqual(["large 20", "small 5"]);
});

test("a body larger than the budget is loaded alone, and an aborted waiter takes nothing", async () => {
  const { budget, ask, grants } = setUp();
  const aborting = new AbortController();
  budget.add("loaded", 10);
  ask("aborted", 2 * MAX, aborting.signal);
  ask("huge", 1_000);
  aborting.abort();
  expect(await grants()).toEqual([]);
  budget.release("loaded", 10);
  expect(await grants()).toEqual(["huge 1000"]);
  budget.release("huge", 1_000);
  expect([budget.used, budget.isFull]).toEqual([0, false]);
});
