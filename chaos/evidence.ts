import type { FaultName } from "./plan.ts";

/** An event as the load posted it. Its data holds the unique `ref`, by which it is found without its id. */
export interface PostedEvent {
  ref: string;
  tenant: string;
  type: string;
  keyed: boolean;
}

export interface AcceptedEvent extends PostedEvent {
  /** When its 202 arrived; Unix milliseconds. */
  acceptedAt: number;
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

/** A row of `deliveries` with the sums of its attempts. */
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
  /** Attempts that were recorded with a 2xx and not superseded. */
  decidingSuccesses: number;
  /** Attempts that were recorded as failed and not superseded. */
  failures: number;
  superseded: number;
}

export interface Receipt {
  event: string;
  subscription: string;
  /** Unix milliseconds. */
  at: number;
}

/** A fault that was injected. */
export interface FaultWindow {
  name: FaultName;
  startedAt: number;
  endedAt: number;
  /** For each subscriber, in the order of the evidence, whether the fault broke it. */
  brokenSubscribers: readonly boolean[];
  /** How many deliveries it may cause to arrive twice. */
  duplicateBound: number;
}

export interface Evidence {
  /** Event id → the event that was answered 202 with it. */
  accepted: ReadonlyMap<string, AcceptedEvent>;
  /** Posted without an answer that shows whether they are stored. */
  unknown: readonly PostedEvent[];
  subscribers: readonly Subscriber[];
  stored: readonly StoredEvent[];
  rows: readonly DeliveryRow[];
  /** Requests that a receiver accepted, even if its answer never arrived. */
  receipts: readonly Receipt[];
  /** Requests that a receiver failed on purpose. */
  refusals: readonly Receipt[];
  /** In the order of their start. */
  faults: readonly FaultWindow[];
}
