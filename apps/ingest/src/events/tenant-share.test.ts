import { expect, test } from "vitest";
import { TenantShares } from "./tenant-share.ts";

/**
 * Makes deliveries at steady rates for a while, flush by flush; answers what went behind per tenant, in the last
 * second.
 */
function run(shares: TenantShares, perSecond: Record<string, number>, seconds: number, from = 0) {
  const flushMs = 10;
  const behind = new Map<string, number>();
  const priorities = new Map<string, number>();
  for (let now = from; now < from + seconds * 1_000; now += flushMs) {
    for (const [tenant, rate] of Object.entries(perSecond)) {
      const priority = shares.priorityOf(tenant, now);
      const count = (rate * flushMs) / 1_000;
      shares.charge(tenant, count, priority > 0, now);
      if (now < from + (seconds - 1) * 1_000) continue;
      priorities.set(tenant, priority);
      if (priority > 0) behind.set(tenant, (behind.get(tenant) ?? 0) + count);
    }
  }
  return { behind, priorities };
}

test("a tenant within its share is never behind", () => {
  const { behind } = run(new TenantShares(), { a: 90, b: 90, c: 50 }, 30);
  expect(behind.size).toBe(0);
});

test("a flood goes behind, but for its share, and nobody else does", () => {
  const quiet = Object.fromEntries(Array.from({ length: 20 }, (_, index) => [`quiet-${index}`, 5]));
  const { behind } = run(new TenantShares(), { ...quiet, flood: 3_500 }, 30);
  expect([...behind.keys()]).toEqual(["flood"]);
  // A hundred per second stay in front.
  expect(behind.get("flood")).toBeGreaterThan(3_300);
  expect(behind.get("flood")).toBeLessThan(3_450);
});

test("several floods together do not fill what all tenants share", () => {
  const floods = Object.fromEntries(Array.from({ length: 5 }, (_, index) => [`flood-${index}`, 3_500]));
  const { behind } = run(new TenantShares(), { quiet: 50, ...floods }, 60);
  expect(behind.has("quiet")).toBe(false);
  const inFront = 5 * 3_500 - [...behind.values()].reduce((sum, count) => sum + count, 0);
  expect(inFront).toBeLessThan(1_000);
});

test("a short burst is within the share", () => {
  const shares = new TenantShares();
  shares.charge("a", 200, false, 0);
  expect(shares.priorityOf("a", 0)).toBe(0);
  shares.charge("a", 1, false, 0);
  expect(shares.priorityOf("a", 0)).toBeGreaterThan(0);
  expect(shares.priorityOf("a", 100)).toBe(0);
});

test("of two floods the larger one is behind the smaller, and soon so where it began later", () => {
  const shares = new TenantShares();
  run(shares, { small: 1_000 }, 30);
  const { priorities } = run(shares, { small: 1_000, large: 5_000 }, 10, 30_000);
  expect(priorities.get("large")!).toBeGreaterThan(priorities.get("small")!);
});

test("of many tenants that are alike only a few go behind", () => {
  const { behind } = run(new TenantShares(), Object.fromEntries(Array.from({ length: 30 }, (_, index) => [`t${index}`, 400])), 30); // prettier-ignore
  expect(behind.size).toBeLessThanOrEqual(8);
});

test("a flood that is over is forgiven, and then forgotten", () => {
  const shares = new TenantShares();
  run(shares, { flood: 5_000 }, 20);
  expect(shares.priorityOf("flood", 21_000)).toBe(0);
  shares.charge("another", 1, false, 200_000);
  expect(shares.size).toBe(1);
});

test("the priority is one that BullMQ takes, and a clock that stands still does no harm", () => {
  const shares = new TenantShares();
  shares.charge("a", 1e12, false, 1_000);
  expect(shares.priorityOf("a", 1_000)).toBe(35);
  shares.charge("a", Number.MAX_VALUE, false, 900);
  expect(shares.priorityOf("a", 900)).toBe(127);
});

test("what is not matched by any subscription costs nothing", () => {
  const shares = new TenantShares();
  shares.charge("a", 0, false, 0);
  expect(shares.size).toBe(0);
});
