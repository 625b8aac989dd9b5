import { toPublicId } from "@postrider/shared/core/ids/id.ts";
import type { WorkerSettings } from "@postrider/shared/runtime/settings/worker.ts";
import type { Logger } from "@postrider/shared/runtime/telemetry/logger.ts";
import { isUnavailable } from "@postrider/shared/store/errors.ts";
import type { Pool } from "@postrider/shared/store/pool.ts";
import { recordHealth, type HealthRecord, type OutagePolicy } from "@postrider/shared/store/sql/record-health.ts";
import type { Subscription } from "../delivery.ts";
import { HealthThrottle, type HealthOnRow } from "./health-throttle.ts";

/** A write waits for this long, so that a failure and the opening of the breaker that it causes share it. */
const GATHER_MS = 50;
/** A worker writes once a second, so a receiver that fails every other request costs one update of its row a second. */
const INTERVAL_MS = 1_000;
const MAX_ROWS = 1_000;
/** Further subscriptions are dropped while Postgres is down. Each takes about 1 kB. */
const MAX_PENDING = 10_000;
const MAX_ERROR_CHARS = 500;
/**
 * An outage ends with a silence of a quarter of DISABLE_AFTER, so that it is disabled for failures all that time. Of
 * five days that is 30 h: one event a day is enough to go on. A shortened setting leaves room for some probes.
 */
const SILENCE = { part: 1 / 4, minCooldowns: 4 };

/** Keeps the health of subscriptions on their rows: their last success, last failure and outage. Nothing waits for it. */
export interface SubscriptionHealth {
  /** @param onRow what the row said when the delivery was loaded */
  succeeded(onRow: HealthOnRow & Revised): void;
  failed(subscription: Revised, error: string, isProbe: boolean): void;
  /** The breaker has opened (again): begins the outage, or disables the subscription after DISABLE_AFTER. */
  opened(subscriptionId: string): void;
  /** A success has closed the breaker. */
  closed(subscriptionId: string): void;
  /** Writes what is pending, if Postgres can be reached. */
  close(): Promise<void>;
}

/** A subscription as it was sent to. */
type Revised = Pick<Subscription, "id" | "revision">;

/** When something last happened to a subscription, in milliseconds of `performance.now()`. */
interface Pending {
  successAt?: number;
  failureAt?: number;
  openedAt?: number;
  error?: string;
  /** Of the subscription that had these outcomes. */
  revision?: string;
}

/**
 * @param settings the length of an outage, and of the silence that ends one
 * @param onDisabled called with each subscription that was disabled; it must not throw
 */
export function createSubscriptionHealth(
  pool: Pool,
  log: Logger,
  settings: Pick<WorkerSettings, "disableAfterMs" | "breaker">,
  onDisabled: (subscriptionId: string) => void,
): SubscriptionHealth {
  const policy = outagePolicy(settings);
  const throttle = new HealthThrottle();
  const pending = new Map<string, Pending>();
  let timer: NodeJS.Timeout | undefined;
  let writing: Promise<boolean> | undefined;
  let startedAt = -Infinity;
  let isUnreachable = false;
  let isClosed = false;
  /** Whether a breaker has opened. Other workers learn it from the row, so that write does not wait. */
  let isUrgent = false;

  /** @param news replaces what is known already; all of it where the subscription was changed meanwhile */
  function add(id: string, news: Pending): void {
    const known = pending.get(id);
    if (!known && pending.size >= MAX_PENDING) return throttle.forget(id);
    const isChanged = known?.revision !== undefined && (news.revision ?? known.revision) !== known.revision;
    pending.set(id, isChanged ? news : { ...known, ...news });
    schedule();
  }

  function schedule(): void {
    const isNow = (isUrgent || pending.size >= MAX_ROWS) && !isUnreachable;
    if (isClosed || writing || (timer && !isNow)) return;
    clearTimeout(timer);
    const waitMs = isNow ? 0 : Math.max(GATHER_MS, startedAt + INTERVAL_MS - performance.now());
    timer = setTimeout(() => {
      timer = undefined;
      void write().then(() => pending.size > 0 && schedule());
    }, waitMs);
  }

  /** Writes the longest pending subscriptions. @returns whether Postgres took them */
  function write(): Promise<boolean> {
    startedAt = performance.now();
    isUrgent = false;
    const batch = new Map(pending.entries().take(MAX_ROWS));
    for (const id of batch.keys()) pending.delete(id);
    writing = writeBatch(batch).finally(() => (writing = undefined));
    return writing;
  }

  async function writeBatch(batch: ReadonlyMap<string, Pending>): Promise<boolean> {
    try {
      const now = performance.now();
      const records = Array.from(batch, ([id, one]) => toRecord(id, one, now));
      const disabled = await recordHealth(pool, records, policy);
      isUnreachable = false;
      for (const id of disabled) {
        log.warn({ subscription: toPublicId("sub", id), reason: "failing" }, "disabled the subscription");
        onDisabled(id);
      }
      return true;
    } catch (error) {
      if (!isUnreachable) log.warn({ err: error, subscriptions: batch.size }, "could not record subscriptions' health");
      isUnreachable = isUnavailable(error);
      for (const [id, before] of batch) {
        // The next try has what happened meanwhile, too. What fails for another reason would fail again.
        if (isUnreachable) add(id, { ...before, ...pending.get(id) });
        else throttle.forget(id);
      }
      return false;
    }
  }

  return {
    succeeded(onRow) {
      const now = performance.now();
      if (throttle.admitsSuccess(onRow, now)) add(onRow.id, { successAt: now, revision: onRow.revision });
    },
    failed({ id, revision }, error, isProbe) {
      const now = performance.now();
      // A failed probe is rare, and its error is the newest that there is.
      const isAdmitted = throttle.admitsFailure(id, now) || isProbe;
      if (isAdmitted) add(id, { failureAt: now, error: printable(error), revision });
    },
    opened(id) {
      const now = performance.now();
      throttle.noteFailure(id, now);
      isUrgent = true;
      add(id, { failureAt: now, openedAt: now });
    },
    closed(id) {
      const now = performance.now();
      throttle.noteSuccess(id, now);
      add(id, { successAt: now });
    },
    async close() {
      isClosed = true;
      clearTimeout(timer);
      await writing;
      while (pending.size > 0 && (await write()));
    },
  };
}

const outagePolicy = ({
  disableAfterMs,
  breaker,
}: Pick<WorkerSettings, "disableAfterMs" | "breaker">): OutagePolicy => ({
  disableAfterMs,
  silenceMs: Math.max(disableAfterMs * SILENCE.part, breaker.cooldownMs * SILENCE.minCooldowns),
});

function toRecord(
  subscriptionId: string,
  { successAt, failureAt, openedAt, error, revision }: Pending,
  now: number,
): HealthRecord {
  const ago = (time: number | undefined) => (time === undefined ? null : now - time);
  return {
    subscriptionId,
    successMsAgo: ago(successAt),
    failureMsAgo: ago(failureAt),
    error: error ?? null,
    openedMsAgo: ago(openedAt),
    revision: revision ?? null,
  };
}

/** Postgres refuses a text with a null character. */
const printable = (error: string): string => error.replaceAll("\0", "").slice(0, MAX_ERROR_CHARS);
