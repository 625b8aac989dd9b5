import { toPublicId } from "@postrider/shared/core/ids/id.ts";
import { now } from "@postrider/shared/runtime/clock.ts";
import { newId } from "@postrider/shared/runtime/new-id.ts";
import type { Logger } from "@postrider/shared/runtime/telemetry/logger.ts";
import { isMissingPartition, isTimeout, isUnavailable, sqlState } from "@postrider/shared/store/errors.ts";
import { ensurePartitionsOf } from "@postrider/shared/store/partitions.ts";
import { inTransaction, withConnection, type Pool } from "@postrider/shared/store/pool.ts";
import { repeatConflicts } from "@postrider/shared/store/repeat-conflicts.ts";
import { recordAttempts, type DeliveryRecord } from "@postrider/shared/store/sql/record-attempts.ts";

/** Whether a transition was applied; `refused` where Postgres takes other records and no part of this one. */
export type RecordResult = boolean | "refused";

/** The result of each record, undefined where it could not be written, and the error where there is one of those. */
export interface Written {
  results: (RecordResult | undefined)[];
  error: unknown;
}

/** How long a part of a flush waits for locks while the row that another transaction has locked is searched for. */
const MAX_LOCK_WAIT = "500ms";

/** Whether Postgres writes no record at the moment. */
const concernsAll = (error: unknown): boolean => isUnavailable(error) && !isTimeout(error);

/**
 * Tries once to write records. If Postgres refuses them together but takes a record of nothing, some of them are refused
 * for what they contain, or their rows are locked: these are found by halving, so that they don't block the others. The
 * former are written with less, and the latter are refused for now.
 */
export async function writeRecords(pool: Pool, log: Logger, records: readonly DeliveryRecord[]): Promise<Written> {
  const whole = await tryWrite(pool, records);
  if (whole.error === undefined || concernsAll(whole.error)) return whole;
  // A column was renamed, or a grant was lost: then every record is refused.
  if (!(await takesRecords(pool))) return whole;
  return writeEach(pool, log, records);
}

async function tryWrite(
  pool: Pool,
  records: readonly DeliveryRecord[],
  write: typeof writeTogether = writeTogether,
): Promise<Written> {
  try {
    return { results: await write(pool, records), error: undefined };
  } catch (error) {
    if (isMissingPartition(error) && (await createPartitions(pool, records))) return tryWrite(pool, records, write);
    return { results: records.map(() => undefined), error };
  }
}

const writeTogether = (pool: Pool, records: readonly DeliveryRecord[]): Promise<boolean[]> =>
  recordAttempts(pool, records);

/** As writeTogether(), but it does not wait long for locks. */
const writePart = (pool: Pool, records: readonly DeliveryRecord[]): Promise<boolean[]> =>
  repeatConflicts(() =>
    withConnection(pool, (client) =>
      inTransaction(client, async () => {
        await client.query(`set local lock_timeout = '${MAX_LOCK_WAIT}'`);
        return recordAttempts(client, records);
      }),
    ),
  );

/** Creates the partitions of the attempts, whose ids have the time of a clock that may have been wrong. */
async function createPartitions(pool: Pool, records: readonly DeliveryRecord[]): Promise<boolean> {
  const ids = records.flatMap(({ attempt }) => attempt?.id ?? []);
  return (await ensurePartitionsOf(pool, ids).catch(() => [])).length > 0;
}

async function writeEach(pool: Pool, log: Logger, records: readonly DeliveryRecord[]): Promise<Written> {
  const written = await tryWrite(pool, records, writePart);
  if (written.error === undefined || concernsAll(written.error)) return written;
  if (records.length === 1) return writeAlone(pool, log, records[0]!, written.error);
  const middle = records.length >> 1;
  const first = await writeEach(pool, log, records.slice(0, middle));
  const second = await writeEach(pool, log, records.slice(middle));
  return { results: [...first.results, ...second.results], error: first.error ?? second.error };
}

/** Writes a record again that was refused. It is alone, so that it holds up no others. */
export async function writeAgain(pool: Pool, log: Logger, record: DeliveryRecord): Promise<RecordResult> {
  const { results } = await writeEach(pool, log, [record]);
  return results[0] ?? "refused";
}

const OMITTED = "[omitted: Postgres refused it]";

function writeAlone(pool: Pool, log: Logger, record: DeliveryRecord, refusal: unknown): Promise<Written> | Written {
  if (!isTimeout(refusal)) return writeReduced(pool, log, record, refusal);
  log.warn(
    { err: refusal, delivery: toPublicId("dlv", record.delivery.id) },
    "another transaction has locked the row of a delivery; its outcome waits to be recorded",
  );
  return { results: ["refused"], error: undefined };
}

/** Writes a record that Postgres refuses alone with as much of it as Postgres takes. The receiver has got it already. */
async function writeReduced(pool: Pool, log: Logger, record: DeliveryRecord, refusal: unknown): Promise<Written> {
  for (const [kept, reduced] of reductions(record)) {
    const written = await tryWrite(pool, [reduced], writePart);
    if (isUnavailable(written.error)) return written;
    if (written.error !== undefined) continue;
    log.error(
      { err: refusal, sqlState: sqlState(refusal), delivery: toPublicId("dlv", record.delivery.id), kept },
      "Postgres refused the record of an attempt; recorded less of it",
    );
    return written;
  }
  log.error(
    { err: refusal, sqlState: sqlState(refusal), delivery: toPublicId("dlv", record.delivery.id) },
    "Postgres refused every record of an attempt",
  );
  return { results: ["refused"], error: undefined };
}

/** Smaller and smaller records, with the name of what each keeps. The last one dead-letters the delivery. */
function* reductions(record: DeliveryRecord): Generator<[kept: string, reduced: DeliveryRecord]> {
  const { attempt } = record;
  const lastError = record.lastError === null ? null : OMITTED;
  if (attempt) {
    const { trigger, responseStatus } = attempt;
    const error = attempt.error === null ? null : OMITTED;
    const responseBody = attempt.responseBody === null ? null : OMITTED;
    yield ["all but the texts", { ...record, lastError, attempt: { ...attempt, responseBody, error } }];
    const plain = {
      id: newId(),
      trigger,
      startedAt: new Date(now()),
      durationMs: 0,
      responseStatus,
      responseBody,
      error,
    };
    yield ["the status and the transition", { ...record, lastError, attempt: plain }];
  }
  yield ["the transition", { ...record, lastError, attempt: undefined }];
  yield [
    "the delivery, as dead",
    {
      ...record,
      lastError: "internal: its outcome could not be recorded",
      attempt: undefined,
      transition: { state: "dead", reason: "internal" },
    },
  ];
}

/** Whether Postgres takes a record of an attempt of no delivery. It is rolled back. */
async function takesRecords(pool: Pool): Promise<boolean> {
  const client = await pool.connect().catch(() => undefined);
  if (!client) return false;
  try {
    await client.query("begin");
    await recordAttempts(client, [NOTHING()]);
    return true;
  } catch {
    return false;
  } finally {
    await client.query("rollback").then(
      () => client.release(),
      () => client.release(true),
    );
  }
}

const NOTHING = (): DeliveryRecord => ({
  delivery: { id: newId(), state: "pending", cycle: 0, attemptCount: 0 },
  transition: { state: "delivered" },
  attempt: {
    id: newId(),
    trigger: "auto",
    startedAt: new Date(now()),
    durationMs: 0,
    responseStatus: null,
    responseBody: null,
    error: null,
  },
  scheduleStep: 0,
  lastError: null,
});
