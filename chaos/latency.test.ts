import { expect, test } from "vitest";
import type { Evidence } from "./evidence.ts";
import { boundsExceeded, measureLatency } from "./latency.ts";

const event = { ref: "e", tenant: "acme", type: "order.created", keyed: false };
const receipt = (name: string, at: number, subscription = "sub_1") => ({ event: name, subscription, at });

const evidence: Evidence = {
  accepted: new Map([
    ["evt_1", { ...event, acceptedAt: 1_000 }],
    ["evt_2", { ...event, acceptedAt: 2_900 }],
    ["evt_3", { ...event, acceptedAt: 5_000 }],
  ]),
  unknown: [],
  subscribers: [
    { id: "sub_1", tenant: "acme", eventTypes: ["*"] },
    { id: "sub_2", tenant: "acme", eventTypes: ["*"] },
  ],
  stored: [],
  rows: [],
  receipts: [
    // A duplicate, in no order.
    receipt("evt_1", 9_000),
    receipt("evt_1", 1_100),
    receipt("evt_1", 1_900, "sub_2"),
    receipt("evt_2", 3_500),
    receipt("evt_2", 4_000, "sub_2"),
    receipt("evt_3", 5_050),
    receipt("evt_3", 4_990, "sub_2"),
    receipt("evt_stored_without_a_202", 9_000),
  ],
  refusals: [receipt("evt_1", 1_100, "sub_2")],
  faults: [
    { name: "receivers-fail", startedAt: 2_000, endedAt: 3_000, brokenSubscribers: [false, true], duplicateBound: 0 },
  ],
};

test("the latency of a delivery ends at its first receipt, and counts as unbroken if its subscriber accepted it at once", () => {
  const { all, unbroken } = measureLatency(evidence);
  expect(all).toEqual({ count: 6, p50: 100, p99: 1_100, max: 1_100 });
  // Without evt_1 at sub_2, which was refused, and evt_2 at sub_2, whose subscriber was broken.
  expect(unbroken).toEqual({ count: 4, p50: 50, p99: 600, max: 600 });
});

test("the tail is from the end of the last fault to the last receipt of an event that was accepted before", () => {
  expect(measureLatency(evidence).tailMs).toBe(1_000);
  expect(measureLatency({ ...evidence, faults: [] }).tailMs).toBeUndefined();
  const early = { ...evidence, receipts: [receipt("evt_1", 1_100)] };
  expect(measureLatency(early).tailMs).toBe(0);
});

test("a run whose deliveries take too long names what took how long", () => {
  const fast = measureLatency(evidence);
  expect(boundsExceeded(fast)).toEqual([]);
  expect(boundsExceeded(measureLatency({ ...evidence, receipts: [] }))).toEqual([]);
  const slow = { ...fast.all, max: 1e9 };
  expect(boundsExceeded({ ...fast, all: slow })).toEqual([
    expect.stringMatching(/^too slow: the slowest delivery took 1000000000 ms/),
  ]);
  expect(boundsExceeded({ ...fast, tailMs: 1e9 })).toHaveLength(1);
});
