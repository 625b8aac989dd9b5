import type { Trigger } from "../../core/delivery/states.ts";
import type { Transition } from "../../core/delivery/transitions.ts";
import { familyRange } from "../../core/ids/id-range.ts";
import type { Queryable } from "../pool.ts";
import { moveEach } from "../transitions.ts";
import type { DeliveryRow } from "./delivery-row.ts";

interface AttemptRow {
  /** Created before the request, so that recording twice is harmless. */
  id: string;
  trigger: Trigger;
  startedAt: Date;
  durationMs: number;
  responseStatus: number | null;
  responseBody: string | null;
  error: string | null;
}

/** A delivery as it was loaded, the state that it moves to, and the attempt, if there was one. */
export interface DeliveryRecord {
  delivery: Pick<DeliveryRow, "id" | "state" | "cycle" | "attemptCount">;
  transition: Transition;
  attempt: AttemptRow | undefined;
  /** Steps of the schedule used, including this attempt. */
  scheduleStep: number;
  /** Null without an attempt keeps the row's last error. */
  lastError: string | null;
}

const TEXT = `
  with input as materialized (
    select * from unnest($1::uuid[], $2::text[], $3::int[], $4::int[], $5::text[], $6::text[], $7::float8[], $8::int[],
      $9::text[], $10::uuid[], $11::text[], $12::timestamptz[], $13::int[], $14::int[], $15::text[], $16::text[])
      with ordinality as t (delivery_id, from_state, cycle, attempt_count, to_state, reason, delay_ms, schedule_step,
        last_error, attempt_id, trigger, started_at, duration_ms, response_status, response_body, error, n)
  ), moved as (
    update deliveries d
    set ${moveEach({ state: "i.to_state", reason: "i.reason", delayMs: "i.delay_ms" })},
      attempt_count = d.attempt_count + (i.attempt_id is not null)::int,
      schedule_step = i.schedule_step,
      last_error = case when i.attempt_id is null and i.last_error is null then d.last_error else i.last_error end
    from input i
    where d.id = i.delivery_id and d.id = any ($1) and d.id between $17 and $18
      and (d.state = i.from_state and d.cycle = i.cycle and d.attempt_count = i.attempt_count
        or i.to_state = 'delivered' and d.state <> 'delivered')
    returning d.id
  ), inserted as (
    insert into attempts (id, delivery_id, number, trigger, started_at, duration_ms, response_status, response_body,
      error, superseded)
    select i.attempt_id, i.delivery_id, i.attempt_count + 1, i.trigger, i.started_at, i.duration_ms, i.response_status,
      i.response_body, i.error, m.id is null
    from input i left join moved m on m.id = i.delivery_id
    where i.attempt_id is not null
    on conflict (id) do nothing
  )
  select m.id is not null as applied from input i left join moved m on m.id = i.delivery_id order by i.n`;

/**
 * Records attempts and transitions (at least one, each of a different delivery). A transition is compare-and-set on the
 * loaded state, cycle and attempt count, so a worker that lost its lock can't overwrite the result of its successor. A
 * 2xx supersedes every other state. The attempt is always inserted, so every request that was sent is recorded.
 *
 * @returns whether each transition was applied, in order
 */
export async function recordAttempts(db: Queryable, records: readonly DeliveryRecord[]): Promise<boolean[]> {
  const column = <T>(pick: (record: DeliveryRecord) => T): T[] => records.map(pick);
  const ids = column(({ delivery }) => delivery.id);
  const { from, to } = familyRange(ids);
  const { rows } = await db.query<{ applied: boolean }>({
    name: "record",
    text: TEXT,
    values: [
      ids,
      column(({ delivery }) => delivery.state),
      column(({ delivery }) => delivery.cycle),
      column(({ delivery }) => delivery.attemptCount),
      column(({ transition }) => transition.state),
      column(({ transition }) => ("reason" in transition ? transition.reason : null)),
      column(({ transition }) => ("delayMs" in transition ? transition.delayMs : null)),
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
