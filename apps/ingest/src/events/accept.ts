import { GroupCommit } from "@postrider/shared/concurrency/group-commit.ts";
import type { OnFlush } from "@postrider/shared/concurrency/isolating-flush.ts";
import {
  conflictPosition,
  expansionBacklogOf,
  isIdempotencyConflict,
  isUnavailable,
  largeFanOutsOf,
} from "@postrider/shared/store/errors.ts";
import type { Pool } from "@postrider/shared/store/pool.ts";
import { Problem } from "../http/problem.ts";
import { FanOuts } from "./fan-outs.ts";
import { flush, type Accepted, type AcceptRequest, type FlushParts, type FlushResult } from "./flush.ts";
import { keysOf, mergeRepeatedKeys, prepare, type NewEvent } from "./prepare.ts";
import { TenantShares } from "./tenant-share.ts";

export interface Acceptor {
  /**
   * Stores the events of one request durably and answers in their order.
   *
   * @throws BufferFullError, Problem expansion_backlog, or the error of Postgres. Then nothing of the request is stored,
   *   unless the connection broke during the commit: only a repeat with an idempotency key can find that out.
   */
  accept(events: readonly NewEvent[]): Promise<Accepted[]>;
  readonly waitingRows: number;
  idle(): Promise<void>;
}

/** @param onBatches called after each commit with the work to enqueue; it must not throw, and is not awaited */
export function createAcceptor(pool: Pool, onBatches: FlushParts["onBatches"], onFlush?: OnFlush): Acceptor {
  const fanOuts = new FanOuts();
  const commits = createGroupCommit({ pool, shares: new TenantShares(), fanOuts, onBatches }, onFlush);
  return {
    async accept(events) {
      if (fanOuts.isRefused(events, performance.now())) throw expansionBacklog();
      const prepared = events.map(prepare);
      const merged = mergeRepeatedKeys(prepared);
      if ("conflict" in merged) return allConflict(events, merged.conflict);
      const { distinct, places } = merged;
      const bytes = distinct.reduce((sum, { data }) => sum + data.length + EVENT_ROW_BYTES, 0);
      const results = await commits.add({ events: distinct, bytes }).catch((error: unknown) => {
        if (isIdempotencyConflict(error)) {
          // One event of a batch conflicts, so none was stored. The batch was alone in the statement that failed.
          const place = places.findIndex(({ index }) => index === conflictPosition(error) - 1);
          return allConflict(distinct, place);
        }
        const refused = expansionBacklogOf(error);
        if (refused === undefined) throw error;
        fanOuts.refuse(distinct[refused - 1]!, events.length, performance.now());
        throw expansionBacklog();
      });
      return places.map(({ index, isRepeat }) => {
        const result = results[index]!;
        if (result.kind === "lookup_failed") throw result.error;
        return isRepeat && result.kind === "accepted" ? { ...result, duplicate: true } : result;
      });
    },
    get waitingRows() {
      return commits.waitingRows;
    },
    idle: () => commits.idle(),
  };
}

const expansionBacklog = () =>
  new Problem(
    "expansion_backlog",
    "the tenant would have millions of deliveries still to be written: try again later, with a smaller batch",
    { headers: { "retry-after": "10" } },
  );

const allConflict = (events: readonly unknown[], index: number): Accepted[] =>
  events.map(() => ({ kind: "conflict", index }));

/** What an event takes in memory and in Postgres beside its data, roughly. */
const EVENT_ROW_BYTES = 200;
/** The next flush is built and sent while Postgres works on one or two, so that neither side waits for the other. */
const MAX_FLUSHING = 3;
/**
 * Many callers share flushes, because each flush and each dispatch job has a fixed cost. A single caller never waits.
 * Forty events are enough: they bring the cost of the flush per event down to little.
 */
const PACE = { ms: 20, after: 2, enough: 40 };
/**
 * Two requests of a hundred events of 10 kB. Larger flushes cost more per event, in ingest and in Postgres. The load is
 * the deliveries of large fan-outs: 4,000 take 60 ms or more, and the events of a flush wait for each other.
 */
const MAX_FLUSH = { rows: 1_000, bytes: 2 * 1024 * 1024, load: 4_000 };
const MAX_WAITING = { rows: 20_000, bytes: 64 * 1024 * 1024 };

function createGroupCommit(parts: FlushParts, onFlush: OnFlush | undefined) {
  return new GroupCommit<AcceptRequest, FlushResult[]>({
    flush: (requests) => flush(parts, requests),
    failsAll: isUnavailable,
    weigh: ({ events, bytes }) => ({ rows: events.length, bytes }),
    loadOf: ({ events }) => parts.fanOuts.estimate(events, performance.now()),
    isUnknownLoad: (error) => largeFanOutsOf(error) !== undefined,
    ownerOf: ({ events }) => events[0]!.tenant,
    keysOf: ({ events }) => events.flatMap(keysOf),
    maxFlushing: MAX_FLUSHING,
    pace: PACE,
    onFlush,
    maxFlush: MAX_FLUSH,
    maxWaiting: MAX_WAITING,
  });
}
