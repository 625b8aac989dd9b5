import { setTimeout as sleep } from "node:timers/promises";
import { GroupCommit } from "@postrider/shared/concurrency/group-commit.ts";
import type { OnFlush } from "@postrider/shared/concurrency/isolating-flush.ts";
import type { Logger } from "@postrider/shared/runtime/telemetry/logger.ts";
import { isUnavailable } from "@postrider/shared/store/errors.ts";
import type { Pool } from "@postrider/shared/store/pool.ts";
import { findRecorded } from "@postrider/shared/store/sql/find-recorded.ts";
import type { DeliveryRecord } from "@postrider/shared/store/sql/record-attempts.ts";
import { RecordingOutage } from "./recording-outage.ts";
import { writeAgain, writeRecords, type RecordResult } from "./write-records.ts";

const MAX_FLUSH = { rows: 500, bytes: 8 * 1024 * 1024 };
/**
 * A flush costs Postgres as much as twenty rows, and nothing is slowed down by a record that waits 20 ms. At half of a
 * worker's capacity, unpaced flushes would have only a few rows each.
 */
const PACE = { ms: 20, after: 1, enough: MAX_FLUSH.rows };
/** Every attempt must be recorded, so no record is rejected. Nothing is sent while Postgres takes none. */
const MAX_WAITING = { rows: Number.POSITIVE_INFINITY, bytes: Number.POSITIVE_INFINITY };
/** Pauses between two tries. A restart takes seconds; a column or a grant is missing until somebody repairs it. */
const RETRY_MS = { first: 500, maxUnavailable: 1_000, max: 10_000 };
/** If more records wait and Postgres refuses each of them alone, the fault may not be theirs: nothing is sent for a while. */
const MAX_REFUSED = 10;
/** The longest such pause. After it others are sent: Postgres may refuse only these, for example those of one partition. */
const MAX_REFUSAL_PAUSE_MS = 5 * 60_000;

const REFUSED = new Error("Postgres refused the record");

export interface Recorder {
  /**
   * Commits a transition and its attempt. It waits for as long as Postgres refuses it, whatever the reason, so that
   * nothing that was sent is lost.
   *
   * @returns false if the delivery had changed its state before, so that the transition was not applied
   */
  record(record: DeliveryRecord): Promise<boolean>;
  /** Records that are not committed yet. */
  readonly waiting: number;
  /** How long the oldest of them has waited; 0 if there is none. */
  readonly oldestMs: number;
  readonly outage: RecordingOutage;
  /** Whether an outcome of the delivery waits to be recorded, so that it must not be sent again. */
  isRecording(deliveryId: string): boolean;
  /** Stops waiting for Postgres: records that the next try cannot write are dropped, and attempted again later. */
  giveUp(): void;
}

export function createRecorder(pool: Pool, log: Logger, onFlush?: OnFlush): Recorder {
  const givingUp = new AbortController();
  /** When each waiting record was made, oldest first. */
  const waiting = new Set<{ since: number }>();
  /** Their deliveries, with the number of their records. */
  const deliveries = new Map<string, number>();
  const oldestMs = () => {
    const [oldest] = waiting;
    return oldest ? performance.now() - oldest.since : 0;
  };
  const outage = new RecordingOutage(log, () => ({ waiting: waiting.size, oldestMs: Math.round(oldestMs()) }));

  const pause = (maxMs: number) =>
    sleep(maxMs * (0.75 + Math.random() / 2), undefined, { signal: givingUp.signal }).catch(() => undefined);

  function pauseAfter(error: unknown, tries: number): Promise<void> {
    const maxMs = isUnavailable(error) ? RETRY_MS.maxUnavailable : RETRY_MS.max;
    return pause(Math.min(maxMs, RETRY_MS.first * 2 ** tries));
  }

  /** Waits, but not while records wait that Postgres may take. */
  async function untilOthersWait(maxMs: number): Promise<void> {
    const deadline = performance.now() + maxMs;
    while (performance.now() < deadline && commits.waitingRows === 0 && !givingUp.signal.aborted) {
      await pause(RETRY_MS.first);
    }
  }

  /** Flushes in a row that Postgres refused, one record after the other. */
  let refusals = 0;

  /** Repeats until Postgres has taken or refused every record. */
  async function flush(records: readonly DeliveryRecord[]): Promise<RecordResult[]> {
    const results: (RecordResult | undefined)[] = records.map(() => undefined);
    for (let tries = 0; ; tries += 1) {
      const isLastTry = givingUp.signal.aborted;
      const missing = [...results.keys()].filter((index) => results[index] === undefined);
      const { results: latest, error } = await writeRecords(pool, log, missing.map((index) => records[index]!)); // prettier-ignore
      for (const [n, index] of missing.entries()) results[index] = latest[n];
      if (tries > 0 && error === undefined) await findCommittedBefore(pool, records, results);
      if (error === undefined) {
        const isTaken = results.some((result) => typeof result === "boolean");
        if (isTaken) refusals = 0;
        else if (!isLastTry && waiting.size > MAX_REFUSED && commits.waitingRows === 0) {
          outage.begin(REFUSED);
          await untilOthersWait(Math.min(MAX_REFUSAL_PAUSE_MS, RETRY_MS.max * 2 ** refusals));
          refusals += 1;
        }
        // The lanes go on when all that has waited is committed, so that no job runs again before its record is.
        if (commits.waitingRows === 0) outage.end();
        return results as RecordResult[];
      }
      if (isLastTry) {
        log.error({ err: error, records: missing.length }, "gave up recording attempts; they will be made again");
        throw error;
      }
      outage.begin(error);
      await pauseAfter(error, tries);
    }
  }

  const commits = new GroupCommit<DeliveryRecord, RecordResult>({
    flush,
    // A flush fails only after giveUp(), and has isolated refused records itself.
    failsAll: () => true,
    weigh: ({ attempt }) => ({ rows: 1, bytes: attempt?.responseBody?.length ?? 0 }),
    keysOf: ({ delivery }) => [delivery.id],
    pace: PACE,
    onFlush,
    maxFlush: MAX_FLUSH,
    maxWaiting: MAX_WAITING,
  });

  return {
    async record(record) {
      const entry = { since: performance.now() };
      const { id } = record.delivery;
      waiting.add(entry);
      deliveries.set(id, (deliveries.get(id) ?? 0) + 1);
      try {
        for (let result = await commits.add(record); ; result = await writeAgain(pool, log, record)) {
          if (result !== "refused") return result;
          await pause(RETRY_MS.max);
          if (givingUp.signal.aborted) throw REFUSED;
        }
      } finally {
        waiting.delete(entry);
        const others = deliveries.get(id)! - 1;
        if (others > 0) deliveries.set(id, others);
        else deliveries.delete(id);
      }
    },
    get waiting() {
      return waiting.size;
    },
    get oldestMs() {
      return oldestMs();
    },
    outage,
    isRecording: (deliveryId) => deliveries.has(deliveryId),
    giveUp() {
      givingUp.abort();
    },
  };
}

/**
 * An earlier try may have been committed although its answer was lost. Its repeat then finds the deliveries moved, as if
 * another worker had moved them: where the attempt stands beside the transition, it was ours.
 */
async function findCommittedBefore(
  pool: Pool,
  records: readonly DeliveryRecord[],
  results: (RecordResult | undefined)[],
): Promise<void> {
  const isUnapplied = ({ attempt }: DeliveryRecord, index: number) => attempt && results[index] === false;
  const attemptIds = records.filter(isUnapplied).map(({ attempt }) => attempt!.id);
  if (attemptIds.length === 0) return;
  // Without an answer the transitions count as not applied, and the watchdog adds the jobs that are missing.
  const recorded = await findRecorded(pool, attemptIds).catch(() => new Set<string>());
  for (const [index, { attempt }] of records.entries()) {
    if (attempt && recorded.has(attempt.id)) results[index] = true;
  }
}
