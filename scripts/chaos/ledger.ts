import type { FaultName } from "./plan.ts";

/** An event as the load posted it. `ref` is in its data and nobody else's, so that it is found again without its id. */
export interface PostedEvent {
  ref: string;
  tenant: string;
  type: string;
  keyed: boolean;
}

export interface Subscriber {
  id: string;
  tenant: string;
  eventTypes: readonly string[];
}

export interface StoredEvent {
  id: string;
  ref: string;
  tenant: string;
  type: string;
}

/** A row of `deliveries` with what its attempts come to. */
export interface DeliveryRow {
  id: string;
  event: string;
  subscription: string;
  state: string;
  deadReason: string | null;
  heldReason: string | null;
  cycle: number;
  attemptCount: number;
  lastError: string | null;
  /** Attempts recorded with a 2xx, of those that decided something. */
  decidingSuccesses: number;
  /** Attempts recorded as failed, of those that decided something. */
  failures: number;
  superseded: number;
}

interface Receipt {
  event: string;
  subscription: string;
  /** Unix milliseconds. */
  at: number;
}

/** A fault as it happened. */
export interface FaultWindow {
  name: FaultName;
  startedAt: number;
  /** How many deliveries may arrive twice because of it. */
  duplicateBound: number;
}

export interface Evidence {
  /** Event id → what was answered with 202 under it. */
  accepted: ReadonlyMap<string, PostedEvent>;
  /** Posted, and no answer that says whether they are stored. */
  unknown: readonly PostedEvent[];
  subscribers: readonly Subscriber[];
  stored: readonly StoredEvent[];
  rows: readonly DeliveryRow[];
  /** Requests that a receiver took and answered with success, or would have. */
  receipts: readonly Receipt[];
  /** Requests that a receiver let fail on purpose. */
  refusals: readonly Receipt[];
  /** In the order of their start. */
  faults: readonly FaultWindow[];
}

/** An expected delivery that did not come; its row tells where it was last seen. */
interface Lost {
  event: string;
  subscription: string;
  why: "no row" | "delivered by its row, never received" | "unfinished";
  row: DeliveryRow | undefined;
}

export interface DuplicateCount {
  fault: FaultName | "before any fault";
  count: number;
  /** Of these, those whose sender recorded a failure: the answer came too late for it, so that it had to send again. */
  lateAnswers: number;
  bound: number;
}

export interface Reckoning {
  accepted: number;
  unknown: number;
  /** Of the unknown ones. */
  unknownStored: number;
  expected: number;
  delivered: number;
  lost: Lost[];
  dead: Map<string, number>;
  /** Received in full, and the row says that it is not over. */
  unfinished: DeliveryRow[];
  duplicates: DuplicateCount[];
  superseded: number;
  /** What must never be, each in a sentence. */
  wrongs: string[];
}

/** The ledger's own reading of a pattern, which shares nothing with the code under test. */
export function wants(eventTypes: readonly string[], type: string): boolean {
  return eventTypes.some(
    (pattern) =>
      pattern === "*" || pattern === type || (pattern.endsWith(".*") && type.startsWith(pattern.slice(0, -1))),
  );
}

const pairOf = (event: string, subscription: string): string => `${event} ${subscription}`;

/** Compares what was accepted with what was received. */
export function reckon(evidence: Evidence): Reckoning {
  const { accepted, unknown, rows, faults } = evidence;
  const rowOf = new Map(rows.map((row) => [pairOf(row.event, row.subscription), row]));
  const receivedAt = groupReceipts(evidence.receipts);
  const { due, unknownStored, wrongs } = eventsDue(evidence);
  wrongs.push(...doubleRows(rows, rowOf), ...overwritten(rows), ...deadWithoutCause(rows));

  const result: Reckoning = {
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
    wrongs,
  };
  const expected = new Set<string>();
  for (const { id: event, tenant, type } of due) {
    for (const subscriber of evidence.subscribers) {
      if (subscriber.tenant !== tenant || !wants(subscriber.eventTypes, type)) continue;
      const pair = pairOf(event, subscriber.id);
      expected.add(pair);
      settle(result, { event, subscription: subscriber.id }, rowOf.get(pair), receivedAt.has(pair));
    }
  }
  result.expected = expected.size;
  for (const pair of receivedAt.keys()) if (!expected.has(pair)) wrongs.push(`received and not expected: ${pair}`);
  result.duplicates = countDuplicates(receivedAt, groupReceipts(evidence.refusals), rowOf, faults);
  return result;
}

/** Whether the promises held. A machine that stalls may shift a duplicate into the next window, so the bounds count together. */
export function isGood({ lost, unfinished, wrongs, duplicates }: Reckoning): boolean {
  return lost.length + unfinished.length + wrongs.length === 0 && isBounded(...duplicates);
}

/** Whether the faults explain the duplicates, late answers aside. */
export function isBounded(...counts: readonly DuplicateCount[]): boolean {
  return counts.reduce((left, { count, lateAnswers, bound }) => left + bound - (count - lateAnswers), 0) >= 0;
}

function settle(
  result: Reckoning,
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

/** Every event that counts: those accepted, and of the unknown ones those that are stored. */
function eventsDue({ accepted, unknown, stored }: Evidence) {
  const wrongs: string[] = [];
  const posted = new Map(unknown.map((event) => [event.ref, event]));
  const due = [...accepted].map(([id, { tenant, type }]) => ({ id, tenant, type }));
  const idOfRef = new Map([...accepted].map(([id, { ref }]) => [ref, id]));
  const known = new Set(stored.map(({ id }) => id));
  for (const id of accepted.keys()) if (!known.has(id)) wrongs.push(`answered with 202 and not stored: ${id}`);
  let unknownStored = 0;
  for (const { id, ref, tenant, type } of stored) {
    if (idOfRef.get(ref) === id) continue;
    if (idOfRef.has(ref)) {
      wrongs.push(`stored twice: ${ref} as ${idOfRef.get(ref)} and ${id}`);
    } else if (!posted.has(ref)) {
      wrongs.push(`stored and never posted: ${id}`);
    } else {
      idOfRef.set(ref, id);
      unknownStored += 1;
      due.push({ id, tenant, type });
    }
  }
  return { due, unknownStored, wrongs };
}

function doubleRows(rows: readonly DeliveryRow[], rowOf: ReadonlyMap<string, DeliveryRow>): string[] {
  return rows
    .filter((row) => rowOf.get(pairOf(row.event, row.subscription)) !== row)
    .map(({ id }) => `a second delivery of one event for one subscription: ${id}`);
}

/** A recorded success is the end (nobody retries by hand here): what follows it, or another one, means that a loser of the compare-and-set has overwritten. */
function overwritten(rows: readonly DeliveryRow[]): string[] {
  return rows
    .filter(
      ({ state, decidingSuccesses }) => decidingSuccesses > 1 || (decidingSuccesses === 1 && state !== "delivered"),
    )
    .map(({ id, state, decidingSuccesses }) => `overwritten: ${id} is ${state} with ${decidingSuccesses} successes`);
}

/** Nothing is wrong with what is posted here, and no receiver says 410: a dead letter can only be an exhausted schedule. */
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

/** Each receipt after a pair's first is a duplicate, and is put down to the fault that began last before it. */
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
    // Failures that the receiver knows nothing of: it took the event, and the sender did not hear of it in time.
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
