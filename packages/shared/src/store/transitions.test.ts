import { describe, expect, test } from "vitest";
import { moveEach, moveTo } from "./transitions.ts";

/** The columns of a SET list with their expressions. */
function columnsOf(setList: string): Record<string, string> {
  const assignments = setList.split(/, (?=\w+ = )/).map((assignment) => assignment.split(" = "));
  return Object.fromEntries(assignments.map(([column, ...expression]) => [column!, expression.join(" = ")]));
}

/** The columns that a SET list leaves with a value. */
const filledBy = (setList: string): string[] =>
  Object.entries(columnsOf(setList))
    .filter(([, expression]) => expression !== "null")
    .map(([column]) => column);

const PENDING = moveTo("pending", { batch_id: "$2" });

describe("a move to one state", () => {
  test.each([
    ["pending", PENDING, ["batch_id"]],
    ["pending, released", moveTo("pending", { batch_id: "$2", held_at: "d.held_at" }), ["batch_id", "held_at"]],
    ["retrying", moveTo("retrying", { next_attempt_at: "now()" }), ["next_attempt_at"]],
    ["held", moveTo("held", { held_reason: "'paused'", held_at: "now()" }), ["held_at", "held_reason"]],
    ["delivered", moveTo("delivered", {}), ["settled_at"]],
    ["dead", moveTo("dead", { dead_reason: "'expired'" }), ["dead_reason", "settled_at"]],
    ["cancelled", moveTo("cancelled", {}), ["settled_at"]],
  ])("%s fills the columns of that state and empties all others", (name, setList, filled) => {
    expect(filledBy(setList).sort()).toEqual([...filled, "state"].sort());
    expect(Object.keys(columnsOf(setList)).sort()).toEqual(Object.keys(columnsOf(PENDING)).sort());
    expect(columnsOf(setList)["state"]).toBe(`'${name.split(",")[0]}'`);
  });

  test("takes the caller's expressions", () => {
    expect(columnsOf(PENDING)["batch_id"]).toBe("$2");
  });
});

describe("a move of each row to its own state", () => {
  const columns = columnsOf(moveEach({ state: "o.state", reason: "o.reason", delayMs: "o.delay_ms" }));

  test("names the same columns as a move to one state", () => {
    expect(Object.keys(columns).sort()).toEqual(Object.keys(columnsOf(PENDING)).sort());
  });

  test("fills every column in the state that it belongs to, and no batch: nothing becomes pending this way", () => {
    expect(columns).toEqual({
      state: "o.state",
      batch_id: "null",
      held_reason: "case when o.state = 'held' then o.reason end",
      held_at: "case when o.state = 'held' then coalesce(d.held_at, now()) end",
      dead_reason: "case when o.state = 'dead' then o.reason end",
      next_attempt_at: "case when o.state = 'retrying' then now() + o.delay_ms * interval '1 millisecond' end",
      settled_at: "case when o.state in ('delivered', 'dead', 'cancelled') then now() end",
    });
  });
});
