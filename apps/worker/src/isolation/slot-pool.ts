/** A delivery's request for a slot. */
export interface SlotRequest {
  subscription: string;
  /** A probe waits for a free slot only: requests that hang since before the breaker opened must not delay it. */
  isProbe?: boolean;
  /** False: it waits until it is served or aborted. A released delivery is not held again for a limit. */
  canBeHeld: boolean;
  tenant: string;
  /** The delivery's id: a subscription's oldest delivery is served first. */
  order: string;
  /** Requests of the subscription under way at once, in this process. */
  maxInFlight: number;
  /** Requests per second over the fleet: the lower of its rate limit and its pace; null is no limit. */
  rate: number | null;
  /** The name of that limit. */
  rateLimitName: "rate_limit" | "pace";
  signal: AbortSignal;
  /** Called when the request is blocked by its own subscription, so that the batch need not wait for it. */
  onBlocked: () => void;
}

export type SlotResult =
  /** `release()` must be called once, when the request is over. */
  | { kind: "granted"; release: () => void }
  /** Its subscription is saturated, and would block it for too long. */
  | { kind: "rejected"; reason: LimitName }
  | { kind: "aborted" };

/** The limit that blocks a subscription's requests. */
export type LimitName = "rate_limit" | "pace" | "max_in_flight";

/** A worker's slots, as the lanes and the metrics use them. A slot is permission for one HTTP request. */
export interface SlotPool {
  readonly size: number;
  readonly inUse: number;
  /** Requests that wait for a slot. */
  readonly waiting: number;
  acquire(request: SlotRequest): Promise<SlotResult>;
  /** Whether requests of the subscription wait. */
  hasWaiters(subscription: string): boolean;
  /** Subscriptions that would reject another delivery right now, with the reason. */
  blockedSubscriptions(): Generator<[subscription: string, reason: LimitName]>;
  /** Whether enough requests wait to keep the worker busy: it should leave further batches to other workers. */
  readonly isFull: boolean;
  /** Whether the waiting requests take so much memory that not even an urgent batch should be fetched. */
  readonly isOverfull: boolean;
  /** Waits until the pool is no longer full, for at most `maxMs`. */
  waitForCapacity(signal: AbortSignal, maxMs: number): Promise<void>;
}
