import { setTimeout as sleep } from "node:timers/promises";
import { familyRange } from "@postrider/shared/core/ids/id-range.ts";
import type { DeadReason, HeldReason, Trigger } from "@postrider/shared/core/delivery/states.ts";
import { isDataError, isMissingPartition, isUnavailable } from "@postrider/shared/store/errors.ts";
import { ensureCurrentPartitions } from "@postrider/shared/store/partitions.ts";
import type { Pool } from "@postrider/shared/store/pool.ts";
import { GroupCommit } from "@postrider/shared/concurrency/group-commit.ts";
import type { OnFlush } from "@postrider/shared/concurrency/group-commit.ts";
import type { Logger } from "@postrider/shared/runtime/telemetry/logger.ts";
import type { Delivery } from "../load/load-batch.ts";

/** The state that a delivery moves to. */
export type Move =
  | { state: "delivered" }
  | { state: "retrying"; delayMs: number }
  | { state: "held"; reason: HeldReason }
  | { state: "dead"; reason: DeadReason }
  | { state: "cancelled" };

interface Attempt {
  /** Made before sending, so that recording twice is harmless. */
  id: string;
  trigger: Trigger;
  startedAt: Date;
  durationMs: number;
  responseStatus: number | null;
  responseBody: string | null;
  error: string | null;
}

/** What became of a delivery: the row as it was loaded, where it goes, and the attempt that decided it, if one was made. */
interface Outcome {
  delivery: Delivery;
  move: Move;
  attempt: Attempt | undefined;
  /** The schedule's steps used after this. */
  scheduleStep: number;
  /** Null without an attempt leaves the row's last error as it is. */
  lastError: string | null;
}

const MAX_FLUSH = { rows: 500, bytes: 8 * 1024 * 1024 };
/**
 * Nobody waits for an outcome to be recorded, and a flush costs Postgres as much as twenty rows: at half of what a worker can
 * deliver, flushes as fast as they come would be a few rows each.
 */
const PACE = { ms: 20, after: 1, enough: MAX_FLUSH.rows };
/** What is in flight must be recorded, so nothing is ever refused here: slots bound it. */
const MAX_WAITING = { rows: Number.POSITIVE_INFINITY, bytes: Number.POSITIVE_INFINITY };
const POSTGRES_RETRY_MS = 500;

/**
 * Attempts and transitions of one flush in one statement. A transition is compare-and-set on state, cycle and
 * attempt count as they were loaded, so that a worker that lost its lock cannot overwrite its successor; a 2xx wins
 * over every other state. The attempt is inserted whatever the compare-and-set says: nothing that was sent goes unrecorded.
 */
const RECORD = `
  with input as materialized (
    select * from unnest($1::uuid[], $2::text[], $3::int[], $4::int[], $5::text[], $6::text[], $7::float8[], $8::int[], $9::text[],
      $10::uuid[], $11::text[], $12::timestamptz[], $13::int[], $14::int[], $15::text[], $16::text[])
      with ordinality as t (delivery_id, from_state, cycle, attempt_count, to_state, reason, delay_ms, schedule_step, last_error,
        attempt_id, trigger, started_at, duration_ms, response_status, response_body, error, n)
  ), moved as (
    update deliveries d set
      state = i.to_state,
      batch_id = null,
      held_reason = case when i.to_state = 'held' then i.reason end,
      held_at = case when i.to_state = 'held' then coalesce(d.held_at, now()) end,
      dead_reason = case when i.to_state = 'dead' then i.reason end,
      next_attempt_at = case when i.to_state = 'retrying' then now() + i.delay_ms * interval '1 millisecond' end,
      settled_at = case when i.to_state in ('delivered', 'dead', 'cancelled') then now() end,
      attempt_count = d.attempt_count + (i.attempt_id is not null)::int,
      schedule_step = i.schedule_step,
      last_error = case when i.attempt_id is null and i.last_error is null then d.last_error else i.last_error end
    from input i
    where d.id = i.delivery_id and d.id = any ($1) and d.id between $17 and $18
      and (d.state = i.from_state and d.cycle = i.cycle and d.attempt_count = i.attempt_count
        or i.to_state = 'delivered' and d.state <> 'delivered')
    returning d.id
  ), inserted as (
    insert into attempts (id, delivery_id, number, trigger, started_at, duration_ms, response_status, response_body, error, superseded)
    select i.attempt_id, i.delivery_id, i.attempt_count + 1, i.trigger, i.started_at, i.duration_ms, i.response_status, i.response_body,
      i.error, m.id is null
    from input i left join moved m on m.id = i.delivery_id
    where i.attempt_id is not null
    on conflict (id) do nothing
  )
  select m.id is not null as applied from input i left join moved m on m.id = i.delivery_id order by i.n`;

export interface Recorder {
  /**
   * Commits an outcome. While Postgres is away it waits, so that nothing that was sent is forgotten.
   *
   * @returns false where the delivery had moved on before, so that this outcome decided nothing
   */
  record(outcome: Outcome): Promise<boolean>;
  readonly waiting: number;
  /** Ends the waiting for Postgres: what cannot be written at the next try is given up, and is attempted again later. */
  giveUp(): void;
}

export function createRecorder(pool: Pool, log: Logger, onFlush?: OnFlush): Recorder {
  let givenUp = false;
  const commits = new GroupCommit<Outcome, boolean>({
    async flush(outcomes) {
      for (let tries = 0; ; tries += 1) {
        try {
          return await write(pool, outcomes);
        } catch (error) {
          if (isMissingPartition(error)) {
            await ensureCurrentPartitions(pool, Date.now());
            continue;
          }
          if (givenUp || isDataError(error) || !isUnavailable(error)) throw error;
          if (tries === 0) log.warn({ err: error, outcomes: outcomes.length }, "outcomes wait for Postgres");
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
    record: (outcome) => commits.add(outcome),
    get waiting() {
      return commits.waitingRows;
    },
    giveUp() {
      givenUp = true;
    },
  };
}

async function write(pool: Pool, outcomes: readonly Outcome[]): Promise<boolean[]> {
  const column = <T>(pick: (outcome: Outcome) => T): T[] => outcomes.map(pick);
  const { from, to } = familyRange(column(({ delivery }) => delivery.id));
  const { rows } = await pool.query<{ applied: boolean }>({
    name: "record",
    text: RECORD,
    values: [
      column(({ delivery }) => delivery.id),
      column(({ delivery }) => delivery.state),
      column(({ delivery }) => delivery.cycle),
      column(({ delivery }) => delivery.attemptCount),
      column(({ move }) => move.state),
      column(({ move }) => ("reason" in move ? move.reason : null)),
      column(({ move }) => ("delayMs" in move ? move.delayMs : null)),
      column(({ scheduleStep }) => scheduleStep),
      column(({ lastError }) => lastError),
      column(({ attempt }) => attempt?.id ?? null),
      column(({ attempt }) => attempt?.trigger ?? null),
      column(({ attempt }) => attempt?.startedAt.toISOString() ?? null),
      column(({ attempt }) => attempt?.durationMs ?? null),
      column(({ attempt }) => attempt?.responseStatus ?? null),
      column(({ attempt }) => attempt?.responseBody ?? null),
      column(({ attempt }) => attempt?.error ?? null),
      from,
      to,
    ],
  });
  return rows.map(({ applied }) => applied);
}
