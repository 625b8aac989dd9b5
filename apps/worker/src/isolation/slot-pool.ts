/** A delivery's request for a slot. */
export interface SlotRequest {
  subscription: string;
  tenant: string;
  /** The delivery's id: of deliveries of one kind (released, fresh) the oldest is served first. */
  order: string;
  /** A probe waits in a queue of its own, behind nothing that hangs since before the breaker opened. */
  isProbe: boolean;
  /** A person asked for it: the pace does not apply. */
  isManual: boolean;
  /** The subscription's row says that it has succeeded lately and is not failing. */
  isProven: boolean;
  /** False for what the release job has put back: it waits for its turn, however long that takes. */
  canBeHeld: boolean;
  /** Requests of the subscription under way at once, in this process. */
  maxInFlight: number;
  /** Requests per second over the fleet: the lower of its rate limit and its pace; null is no limit. */
  rate: number | null;
  /** The name of that limit. */
  rateLimitName: "rate_limit" | "pace";
  /** Of the body. */
  bytes: number;
  signal: AbortSignal;
}

export type SlotResult =
  | {
      kind: "granted";
      /** How long the request has waited for its slot. */
      waitedMs: number;
      /**
       * Must be called once, when the request is over.
       *
       * @param status the response's status; null without a response, undefined if nothing was sent
       * @param tookMs how long the exchange took; by default the time since the slot was granted
       */
      release: (status: number | null | undefined, tookMs?: number) => void;
    }
  /** A limit blocks it for too long. */
  | { kind: "rejected"; reason: LimitName }
  | { kind: "aborted" };

/** The limits of a subscription, by the names that users see as held reasons. `docs/isolation.md` defines them. */
export type LimitName = "rate_limit" | "max_in_flight" | "pace" | "trial" | "share" | "tenant_share";

/** A limit that blocks requests right now. */
export interface BlockingLimit {
  subscription: string;
  because: LimitName;
  /** Requests that it may have under way in this worker. */
  max: number;
  /** Requests per second over the fleet; null without a rate. */
  ratePerSecond: number | null;
  /** Its requests that wait in this worker. */
  waiting: number;
}

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
  /** The limits that block waiting requests right now. */
  limited(): Generator<BlockingLimit>;
  /** Whether enough requests wait to keep the worker busy: it should leave further batches to other workers. */
  readonly isFull: boolean;
  /** Whether the waiting requests take so much memory that not even an urgent batch should be fetched. */
  readonly isOverfull: boolean;
  /** Waits until the pool is no longer full, for at most `maxMs`. */
  waitForCapacity(signal: AbortSignal, maxMs: number): Promise<void>;
}
