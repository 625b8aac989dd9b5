import { setTimeout as sleep } from "node:timers/promises";
import { GroupCommit, type OnFlush } from "@postrider/shared/concurrency/group-commit.ts";
import type { Logger } from "@postrider/shared/runtime/telemetry/logger.ts";
import { isDataError, isMissingPartition, isUnavailable } from "@postrider/shared/store/errors.ts";
import { ensurePartitionsOf } from "@postrider/shared/store/partitions.ts";
import type { Pool } from "@postrider/shared/store/pool.ts";
import { recordAttempts, type DeliveryRecord } from "@postrider/shared/store/sql/record-attempts.ts";

const MAX_FLUSH = { rows: 500, bytes: 8 * 1024 * 1024 };
/**
 * A flush costs Postgres as much as twenty rows, and nothing is slowed down by a record that waits 20 ms. At half of a
 * worker's capacity, unpaced flushes would have only a few rows each.
 */
const PACE = { ms: 20, after: 1, enough: MAX_FLUSH.rows };
/** Every attempt must be recorded, so no record is rejected. The slots bound how many can wait. */
const MAX_WAITING = { rows: Number.POSITIVE_INFINITY, bytes: Number.POSITIVE_INFINITY };
const POSTGRES_RETRY_MS = 500;

export interface Recorder {
  /**
   * Commits a transition and its attempt. While Postgres is down it waits, so that nothing that was sent is lost.
   *
   * @returns false if the delivery had changed its state before, so that the transition was not applied
   */
  record(record: DeliveryRecord): Promise<boolean>;
  readonly waiting: number;
  /** Stops waiting for Postgres: records that the next try cannot write are dropped, and attempted again later. */
  giveUp(): void;
}

export function createRecorder(pool: Pool, log: Logger, onFlush?: OnFlush): Recorder {
  let givenUp = false;

  /** Creates the partitions of the attempts, whose ids have the time of a clock that may have been wrong. */
  const createPartitions = async (records: readonly DeliveryRecord[]): Promise<boolean> => {
    const ids = records.flatMap(({ attempt }) => attempt?.id ?? []);
    return (await ensurePartitionsOf(pool, ids).catch(() => [])).length > 0;
  };

  const commits = new GroupCommit<DeliveryRecord, boolean>({
    async flush(records) {
      for (let tries = 0; ; tries += 1) {
        try {
          return await recordAttempts(pool, records);
        } catch (error) {
          const lacksPartition = isMissingPartition(error);
          if (lacksPartition && (await createPartitions(records))) continue;
          if (givenUp || (!lacksPartition && (isDataError(error) || !isUnavailable(error)))) throw error;
          if (tries === 0) log.warn({ err: error, records: records.length }, "could not record attempts; retrying");
          await sleep(POSTGRES_RETRY_MS);
        }
      }
    },
    isDataError,
    weigh: ({ attempt }) => ({ rows: 1, bytes: attempt?.responseBody?.length ?? 0 }),
    keysOf: ({ delivery }) => [delivery.id],
    pace: PACE,
    onFlush,
    maxFlush: MAX_FLUSH,
    maxWaiting: MAX_WAITING,
  });
  return {
    record: (record) => commits.add(record),
    get waiting() {
      return commits.waitingRows;
    },
    giveUp() {
      givenUp = true;
    },
  };
}
