import { expect, test } from "vitest";
import { family, timeOfId } from "../core/ids/id-range.ts";
import { createIdSource } from "./new-id.ts";

const DAY_MS = 86_400_000;

/** A source of ids, and the times of the next `count` of them. */
function sourceAt(start: number) {
  const clock = { now: start };
  const newId = createIdSource(() => clock.now);
  return { clock, ids: (count: number) => Array.from({ length: count }, newId) };
}

test("the ids of a source increase strictly, also within a millisecond and when its clock goes back a little", () => {
  const { clock, ids } = sourceAt(1_800_000_000_000);
  const made = ids(1_000);
  clock.now -= 1_000;
  made.push(...ids(1_000));
  clock.now += 1_500;
  made.push(...ids(10));
  expect(made).toEqual([...new Set(made)].sort());
});

test("each id of a source has first 8 bytes of its own", () => {
  const { ids } = sourceAt(1_800_000_000_000);
  const made = ids(20_000);
  expect(made).toEqual([...new Set(made)].sort());
  expect(new Set(made.map((id) => family(id).from)).size).toBe(20_000);
  expect(timeOfId(made.at(-1)!)).toBeLessThan(1_800_000_000_000 + 10);
});

test("a clock that was two days ahead for a moment leaves no later id in the future", () => {
  const { clock, ids } = sourceAt(1_800_000_000_000);
  clock.now += 2 * DAY_MS;
  ids(3);
  clock.now -= 2 * DAY_MS;
  const [first, second] = ids(2);
  expect([timeOfId(first!), timeOfId(second!)]).toEqual([clock.now, clock.now]);
  expect(first! < second!).toBe(true);
  clock.now += 5;
  expect(ids(1).map(timeOfId)).toEqual([clock.now]);
});
