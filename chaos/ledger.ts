import type { DeliveryRow, Evidence, FaultWindow, Receipt } from "./evidence.ts";
import type { FaultName } from "./plan.ts";

/** An expected delivery that was never received, with its last recorded state. */
interface Lost {
  event: string;
  subscription: string;
  why: "no row" | "delivered by its row, never received" | "unfinished";
  row: DeliveryRow | undefined;
}

export interface DuplicateCount {
  fault: FaultName | "before any fault";
  count: number;
  /** Of these, the ones whose sender recorded a failure because the answer came after its deadline. */
  lateAnswers: number;
  bound: number;
}

export interface Audit {
  accepted: number;
  unknown: number;
  /** Of the unknown events. */
  unknownStored: number;
  expected: number;
  delivered: number;
  lost: Lost[];
  dead: Map<string, number>;
  /** Received, but not recorded as finished. */
  unfinished: DeliveryRow[];
  duplicates: DuplicateCount[];
  superseded: number;
  /** Broken invariants, one sentence each. */
  violations: string[];
}

/** Event type matching, implemented again so that it shares no code with the system under test. */
export function matches(eventTypes: readonly string[], type: string): boolean {
  return eventTypes.some(
    (pattern) =>
      pattern === "*" || pattern === type || (pattern.endsWith(".*") && type.startsWith(pattern.slice(0, -1))),
  );
}

const pairOf = (event: string, subscription: string): string => `${event} ${subscription}`;

/** Compares the accepted events with the received deliveries. */
export function audit(evidence: Evidence): Audit {
  const { accepted, unknown, rows, faults } = evidence;
  const rowOf = new Map(rows.map((row) => [pairOf(row.event, row.subscription), row]));
  const receivedAt = groupReceipts(evidence.receipts);
  const { due, unknownStored, violations } = eventsDue(evidence);
  violations.push(...doubleRows(rows, rowOf), ...overwritten(rows), ...deadWithoutCause(rows));

  const result: Audit = {
    accepted: accepted.size,
    unknown: unknown.length,
    unknownStored,
    expected: 0,
    delivered: 0,
    lost: [],
    dead: new Map(),
    unfinished: [],
    duplicates: [],
    superseded: rows.reduce((sum, row) => sum + row.superseded, 0),
    violations,
  };
  const expected = new Set<string>();
  for (const { id: event, tenant, type } of due) {
    for (const subscriber of evidence.subscribers) {
      if (subscriber.tenant !== tenant || !matches(subscriber.eventTypes, type)) continue;
      const pair = pairOf(event, subscriber.id);
      expected.add(pair);
      settle(result, { event, subscription: subscriber.id }, rowOf.get(pair), receivedAt.has(pair));
    }
  }
  result.expected = expected.size;
  for (const pair of receivedAt.keys()) if (!expected.has(pair)) violations.push(`received and not expected: ${pair}`);
  result.duplicates = countDuplicates(receivedAt, groupReceipts(evidence.refusals), rowOf, faults);
  return result;
}

/**
 * Whether the guarantees held. A stalled machine may shift a duplicate into the next window, so only the sum of the
 * bounds counts.
 */
export function hasPassed({ lost, unfinished, violations, duplicates }: Audit): boolean {
  return lost.length + unfinished.length + violations.length === 0 && isBounded(...duplicates);
}

/** Whether the faults explain the duplicates, except for late answers. */
export function isBounded(...counts: readonly DuplicateCount[]): boolean {
  return counts.reduce((left, { count, lateAnswers, bound }) => left + bound - (count - lateAnswers), 0) >= 0;
}

function settle(
  result: Audit,
  pair: { event: string; subscription: string },
  row: DeliveryRow | undefined,
  received: boolean,
): void {
  const isOver = row !== undefined && ["delivered", "dead", "cancelled"].includes(row.state);
  if (received) {
    result.delivered += 1;
    if (row && !isOver) result.unfinished.push(row);
  } else if (row === undefined) {
    result.lost.push({ ...pair, why: "no row", row });
  } else if (row.state === "dead") {
    const reason = row.deadReason ?? "no reason";
    result.dead.set(reason, (result.dead.get(reason) ?? 0) + 1);
  } else {
    result.lost.push({ ...pair, why: isOver ? "delivered by its row, never received" : "unfinished", row });
  }
}

/** Every event that has to be delivered: the accepted ones, and the unknown ones that are stored. */
function eventsDue({ accepted, unknown, stored }: Evidence) {
  const violations: string[] = [];
  const posted = new Map(unknown.map((event) => [event.ref, event]));
  const due = [...accepted].map(([id, { tenant, type }]) => ({ id, tenant, type }));
  const idOfRef = new Map([...accepted].map(([id, { ref }]) => [ref, id]));
  const known = new Set(stored.map(({ id }) => id));
  for (const id of accepted.keys()) if (!known.has(id)) violations.push(`answered with 202 and not stored: ${id}`);
  let unknownStored = 0;
  for (const { id, ref, tenant, type } of stored) {
    if (idOfRef.get(ref) === id) continue;
    if (idOfRef.has(ref)) {
      violations.push(`stored twice: ${ref} as ${idOfRef.get(ref)} and ${id}`);
    } else if (!posted.has(ref)) {
      violations.push(`stored and never posted: ${id}`);
    } else {
      idOfRef.set(ref, id);
      unknownStored += 1;
      due.push({ id, tenant, type });
    }
  }
  return { due, unknownStored, violations };
}

function doubleRows(rows: readonly DeliveryRow[], rowOf: ReadonlyMap<string, DeliveryRow>): string[] {
  return rows
    .filter((row) => rowOf.get(pairOf(row.event, row.subscription)) !== row)
    .map(({ id }) => `a second delivery of one event for one subscription: ${id}`);
}

/**
 * A recorded success is final, because no run retries by hand. A later state or a second success means that the loser
 * of a compare-and-set has overwritten the winner.
 */
function overwritten(rows: readonly DeliveryRow[]): string[] {
  return rows
    .filter(
      ({ state, decidingSuccesses }) => decidingSuccesses > 1 || (decidingSuccesses === 1 && state !== "delivered"),
    )
    .map(({ id, state, decidingSuccesses }) => `overwritten: ${id} is ${state} with ${decidingSuccesses} successes`);
}

/** All events are valid and no receiver answers 410, so the only cause of a dead letter is an exhausted schedule. */
function deadWithoutCause(rows: readonly DeliveryRow[]): string[] {
  return rows
    .filter(({ deadReason }) => deadReason !== null && deadReason !== "exhausted")
    .map(({ id, deadReason, lastError }) => `dead without cause: ${id} (${deadReason}, ${lastError})`);
}

function groupReceipts(receipts: readonly Receipt[]): Map<string, number[]> {
  const times = new Map<string, number[]>();
  for (const { event, subscription, at } of receipts) {
    const pair = pairOf(event, subscription);
    const known = times.get(pair);
    if (known) known.push(at);
    else times.set(pair, [at]);
  }
  return times;
}

/** Each receipt after a pair's first is a duplicate, attributed to the last fault that began before it. */
function countDuplicates(
  receivedAt: ReadonlyMap<string, number[]>,
  refusedAt: ReadonlyMap<string, number[]>,
  rowOf: ReadonlyMap<string, DeliveryRow>,
  faults: readonly FaultWindow[],
): DuplicateCount[] {
  const counts: DuplicateCount[] = [
    { fault: "before any fault", count: 0, lateAnswers: 0, bound: 0 },
    ...faults.map(({ name, duplicateBound }) => ({ fault: name, count: 0, lateAnswers: 0, bound: duplicateBound })),
  ];
  for (const [pair, times] of receivedAt) {
    // Failures unknown to the receiver: it accepted the event, and its answer came after the deadline.
    let late = (rowOf.get(pair)?.failures ?? 0) - (refusedAt.get(pair)?.length ?? 0);
    for (const at of times.toSorted((a, b) => a - b).slice(1)) {
      const counted = counts[faults.findLastIndex(({ startedAt }) => startedAt <= at) + 1]!;
      counted.count += 1;
      if (late > 0) counted.lateAnswers += 1;
      late -= 1;
    }
  }
  return counts;
}
