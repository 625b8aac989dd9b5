import { expect, test } from "vitest";
import type { DeliveryRow, Evidence, FaultWindow } from "./evidence.ts";
import { audit, hasPassed, matches } from "./ledger.ts";
import { FAULT_NAMES, type FaultName, makePlan } from "./plan.ts";

const row = (change: Partial<DeliveryRow> = {}): DeliveryRow => ({
  id: "dlv_1",
  event: "evt_1",
  subscription: "sub_1",
  state: "delivered",
  deadReason: null,
  heldReason: null,
  cycle: 0,
  attemptCount: 1,
  lastError: null,
  decidingSuccesses: 1,
  failures: 0,
  superseded: 0,
  ...change,
});

const order = { ref: "e1", tenant: "acme", type: "order.created", keyed: false, acceptedAt: 1_000 };
const fault = (name: FaultName, startedAt: number, duplicateBound: number): FaultWindow => ({
  name,
  startedAt,
  endedAt: startedAt + 100,
  brokenSubscribers: [],
  duplicateBound,
});
const receipt = (at: number, event = "evt_1", subscription = "sub_1") => ({ event, subscription, at });

/** One event, two subscribers of which one wants it, delivered as it should be. */
function evidence(change: Partial<Evidence> = {}): Evidence {
  return {
    accepted: new Map([["evt_1", order]]),
    unknown: [],
    subscribers: [
      { id: "sub_1", tenant: "acme", eventTypes: ["order.*"] },
      { id: "sub_2", tenant: "globex", eventTypes: ["*"] },
    ],
    stored: [{ id: "evt_1", ref: "e1", tenant: "acme", type: "order.created" }],
    rows: [row()],
    receipts: [receipt(1_500)],
    refusals: [],
    faults: [fault("worker-kill", 1_000, 1), fault("ingest-kill", 2_000, 0)],
    ...change,
  };
}

test("an audit passes when every accepted event was received", () => {
  const result = audit(evidence());
  expect(result).toMatchObject({ accepted: 1, expected: 1, delivered: 1, lost: [], violations: [], unfinished: [] });
  expect(hasPassed(result)).toBe(true);
});

test("an audit fails when a delivery was not received, whatever its row says", () => {
  const never = audit(evidence({ receipts: [] }));
  expect(never.lost).toMatchObject([
    { event: "evt_1", subscription: "sub_1", why: "delivered by its row, never received" },
  ]);
  expect(hasPassed(never)).toBe(false);
  const waiting = audit(evidence({ receipts: [], rows: [row({ state: "held", decidingSuccesses: 0 })] }));
  expect(waiting.lost).toMatchObject([{ why: "unfinished", row: { state: "held" } }]);
  const rowless = audit(evidence({ receipts: [], rows: [] }));
  expect(rowless.lost).toMatchObject([{ why: "no row" }]);
  expect([waiting, rowless].some(hasPassed)).toBe(false);
});

test("an audit counts a dead letter by its reason and not as lost", () => {
  const dead = row({ state: "dead", deadReason: "exhausted", decidingSuccesses: 0 });
  const result = audit(evidence({ receipts: [], rows: [dead] }));
  expect(result.lost).toEqual([]);
  expect([...result.dead]).toEqual([["exhausted", 1]]);
  expect(hasPassed(result)).toBe(true);
});

test("an audit fails for a dead letter that the load does not explain", () => {
  const dead = row({ state: "dead", deadReason: "internal", decidingSuccesses: 0 });
  expect(hasPassed(audit(evidence({ receipts: [], rows: [dead] })))).toBe(false);
});

test("an audit fails for a delivery that was received and is still unfinished", () => {
  const result = audit(evidence({ rows: [row({ state: "retrying", decidingSuccesses: 0 })] }));
  expect(result.unfinished).toHaveLength(1);
  expect(hasPassed(result)).toBe(false);
});

test("an audit attributes a duplicate to the fault before it, and fails for more duplicates than the faults explain", () => {
  const within = audit(evidence({ receipts: [receipt(900), receipt(1_999)] }));
  expect(within.duplicates.map(({ fault, count }) => [fault, count])).toEqual([
    ["before any fault", 0],
    ["worker-kill", 1],
    ["ingest-kill", 0],
  ]);
  expect(hasPassed(within)).toBe(true);
  expect(hasPassed(audit(evidence({ receipts: [receipt(900), receipt(1_500), receipt(1_999)] })))).toBe(false);
  const unexplained = [fault("ingest-kill", 1_000, 0)];
  for (const at of [999, 1_000])
    expect(hasPassed(audit(evidence({ receipts: [receipt(1), receipt(at)], faults: unexplained })))).toBe(false);
});

test("an audit attributes a duplicate to a late answer if its sender recorded a failure, unless the receiver failed it on purpose", () => {
  const receipts = [receipt(2_100), receipt(2_200)];
  const faults = [fault("ingest-kill", 1_000, 0)];
  const late = audit(evidence({ receipts, faults, rows: [row({ failures: 1 })] }));
  expect(late.duplicates.at(-1)).toMatchObject({ count: 1, lateAnswers: 1 });
  expect(hasPassed(late)).toBe(true);
  const refused = audit(evidence({ receipts, faults, refusals: [receipt(2_050)], rows: [row({ failures: 1 })] }));
  expect(refused.duplicates.at(-1)).toMatchObject({ count: 1, lateAnswers: 0 });
  expect(hasPassed(refused)).toBe(false);
});

test("an audit counts the deliveries of an unanswered event only if the event is stored", () => {
  const unknown = [order];
  const absent = audit(evidence({ accepted: new Map(), unknown, stored: [], rows: [], receipts: [] }));
  expect(absent).toMatchObject({ unknown: 1, unknownStored: 0, expected: 0 });
  expect(hasPassed(absent)).toBe(true);
  expect(audit(evidence({ accepted: new Map(), unknown }))).toMatchObject({ unknownStored: 1, delivered: 1 });
  const half = audit(evidence({ accepted: new Map(), unknown, rows: [], receipts: [] }));
  expect(half.lost).toHaveLength(1);
});

test("an audit fails for an event that was answered 202 and not stored, stored twice, or never posted", () => {
  const stored = evidence().stored[0]!;
  expect(audit(evidence({ stored: [] })).violations).toEqual(["answered with 202 and not stored: evt_1"]);
  expect(audit(evidence({ stored: [stored, { ...stored, id: "evt_2" }] })).violations).toEqual([
    "stored twice: e1 as evt_1 and evt_2",
  ]);
  expect(audit(evidence({ stored: [stored, { ...stored, id: "evt_2", ref: "e2" }] })).violations).toEqual([
    "stored and never posted: evt_2",
  ]);
});

test("an audit fails for a delivery to a subscriber that does not match the event", () => {
  const result = audit(evidence({ receipts: [receipt(1_500), receipt(1_500, "evt_1", "sub_2")] }));
  expect(result.violations).toEqual(["received and not expected: evt_1 sub_2"]);
});

test("an audit fails for a recorded success that was overwritten", () => {
  expect(audit(evidence({ rows: [row({ decidingSuccesses: 2 })] })).violations).toHaveLength(1);
  expect(audit(evidence({ rows: [row({ state: "dead", deadReason: "exhausted" })] })).violations).toHaveLength(1);
});

test("the ledger matches event types as documented", () => {
  expect(matches(["*"], "order")).toBe(true);
  expect(matches(["order.*"], "order")).toBe(false);
  expect(matches(["order.*"], "order.item.added")).toBe(true);
  expect(matches(["order.*"], "orders.created")).toBe(false);
  expect(matches(["order.created"], "order.created.twice")).toBe(false);
});

test("a plan depends only on its seed and contains every fault", () => {
  const options = { faults: FAULT_NAMES, rounds: 1, workers: 2, subscribers: 7 };
  expect(makePlan(7, options)).toEqual(makePlan(7, options));
  expect(makePlan(7, options)).not.toEqual(makePlan(8, options));
  expect(new Set(makePlan(7, options).map(({ name }) => name))).toEqual(new Set(FAULT_NAMES));
});
