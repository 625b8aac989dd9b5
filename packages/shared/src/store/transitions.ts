import { SETTLED_STATES } from "../core/delivery/transitions.ts";
import type { DeliveryState } from "../core/delivery/states.ts";

/** The columns of `deliveries` that each state sets, as SQL expressions. */
interface StateColumns {
  pending: { batch_id: string; held_at?: string };
  retrying: { next_attempt_at: string };
  held: { held_reason: string; held_at: string };
  delivered: Record<string, never>;
  dead: { dead_reason: string };
  cancelled: Record<string, never>;
}

const NO_COLUMNS = {
  batch_id: "null",
  held_reason: "null",
  held_at: "null",
  dead_reason: "null",
  next_attempt_at: "null",
  settled_at: "null",
};

/**
 * The SET list of an update that moves deliveries to a state. It includes the columns of all states, so that those of
 * the previous state are cleared. Every `update deliveries` that changes `state` takes its list from here.
 *
 * @param columns SQL expressions for the columns of the state. A released delivery keeps its `held_at`, in case it is
 *   held again without an attempt
 */
export function moveTo<State extends DeliveryState>(state: State, columns: StateColumns[State]): string {
  const settled = isSettled(state) ? { settled_at: "now()" } : {};
  return setList(`'${state}'`, { ...NO_COLUMNS, ...settled, ...columns });
}

/**
 * The SET list of an update whose rows move to different states.
 *
 * @param to SQL expressions of the row's new state, its reason (held and dead), and its delay in milliseconds
 *   (retrying)
 */
export const moveEach = (to: { state: string; reason: string; delayMs: string }): string =>
  setList(to.state, {
    ...NO_COLUMNS,
    held_reason: `case when ${to.state} = 'held' then ${to.reason} end`,
    held_at: `case when ${to.state} = 'held' then coalesce(d.held_at, now()) end`,
    dead_reason: `case when ${to.state} = 'dead' then ${to.reason} end`,
    next_attempt_at: `case when ${to.state} = 'retrying' then now() + ${to.delayMs} * interval '1 millisecond' end`,
    settled_at: `case when ${to.state} in (${SETTLED_STATES.map((state) => `'${state}'`).join(", ")}) then now() end`,
  });

const isSettled = (state: DeliveryState): boolean => (SETTLED_STATES as readonly DeliveryState[]).includes(state);

const setList = (state: string, columns: Record<string, string>): string =>
  [`state = ${state}`, ...Object.entries(columns).map(([column, value]) => `${column} = ${value}`)].join(", ");
