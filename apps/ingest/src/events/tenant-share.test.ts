import { expect, test } from "vitest";
import { TenantShares } from "./tenant-share.ts";

/**
 * Charges deliveries at steady rates, flush by flush. Returns the deprioritized ones of the last second, per tenant.
 */
function run(shares: TenantShares, perSecond: Record<string, number>, seconds: number, from = 0) {
  const flushMs = 10;
  const deprioritized = new Map<string, number>();
  const priorities = new Map<string, number>();
  for (let now = from; now < from + seconds * 1_000; now += flushMs) {
    for (const [tenant, rate] of Object.entries(perSecond)) {
      const priority = shares.priorityOf(tenant, now);
      const count = (rate * flushMs) / 1_000;
      shares.charge(tenant, count, priority > 0 ? 0 : count, now);
      if (now < from + (seconds - 1) * 1_000) continue;
      priorities.set(tenant, priority);
      if (priority > 0) deprioritized.set(tenant, (deprioritized.get(tenant) ?? 0) + count);
    }
  }
  return { deprioritized, priorities };
}

test("a tenant within its share is never deprioritized", () => {
  const { deprioritized } = run(new TenantShares(), { a: 90, b: 90, c: 50 }, 30);
  expect(deprioritized.size).toBe(0);
});

test("a flood is deprioritized beyond its share, and no other tenant is", () => {
  const quiet = Object.fromEntries(Array.from({ length: 20 }, (_, index) => [`quiet-${index}`, 5]));
  const { deprioritized } = run(new TenantShares(), { ...quiet, flood: 3_500 }, 30);
  expect([...deprioritized.keys()]).toEqual(["flood"]);
  // A hundred per second keep the priority 0.
  expect(deprioritized.get("flood")).toBeGreaterThan(3_300);
  expect(deprioritized.get("flood")).toBeLessThan(3_450);
});

test("several floods together do not fill the mixed batches", () => {
  const floods = Object.fromEntries(Array.from({ length: 5 }, (_, index) => [`flood-${index}`, 3_500]));
  const { deprioritized } = run(new TenantShares(), { quiet: 50, ...floods }, 60);
  expect(deprioritized.has("quiet")).toBe(false);
  const inFront = 5 * 3_500 - [...deprioritized.values()].reduce((sum, count) => sum + count, 0);
  expect(inFront).toBeLessThan(1_000);
});

test("a short burst is within the share", () => {
  const shares = new TenantShares();
  shares.charge("a", 200, 200, 0);
  expect(shares.priorityOf("a", 0)).toBe(0);
  shares.charge("a", 1, 1, 0);
  expect(shares.priorityOf("a", 0)).toBeGreaterThan(0);
  expect(shares.priorityOf("a", 100)).toBe(0);
});

test("the larger of two floods gets the later priority, also if it started later", () => {
  const shares = new TenantShares();
  run(shares, { small: 1_000 }, 30);
  const { priorities } = run(shares, { small: 1_000, large: 5_000 }, 10, 30_000);
  expect(priorities.get("large")!).toBeGreaterThan(priorities.get("small")!);
});

test("of many equal tenants only a few are deprioritized", () => {
  const tenants = Object.fromEntries(Array.from({ length: 30 }, (_, index) => [`t${index}`, 400]));
  const { deprioritized } = run(new TenantShares(), tenants, 30);
  expect(deprioritized.size).toBeLessThanOrEqual(8);
});

test("a tenant whose flood is over gets priority 0 again, and is then no longer tracked", () => {
  const shares = new TenantShares();
  run(shares, { flood: 5_000 }, 20);
  expect(shares.priorityOf("flood", 21_000)).toBe(0);
  shares.charge("another", 1, 1, 200_000);
  expect(shares.size).toBe(1);
});

test("the priority is valid for BullMQ, also if the clock stands still", () => {
  const shares = new TenantShares();
  shares.charge("a", 1e12, 1e12, 1_000);
  expect(shares.priorityOf("a", 1_000)).toBe(35);
  shares.charge("a", Number.MAX_VALUE, Number.MAX_VALUE, 900);
  expect(shares.priorityOf("a", 900)).toBe(127);
});

test("events without a matching subscription are not charged", () => {
  const shares = new TenantShares();
  shares.charge("a", 0, 0, 0);
  expect(shares.size).toBe(0);
});
