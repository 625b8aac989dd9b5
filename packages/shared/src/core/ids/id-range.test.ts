import fc from "fast-check";
import { expect, test } from "vitest";
import { v7, version } from "uuid";
import { family, familyRange, firstIdAt, idAfter, lastIdBefore, MAX_ID, timeOfId } from "./id-range.ts";

test("a UUIDv7 contains the millisecond of its creation", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 48 - 1 }), (msecs) => {
      const id = v7({ msecs });
      expect(timeOfId(id)).toBe(msecs);
      expect(firstIdAt(msecs) <= id && id < firstIdAt(msecs + 1)).toBe(msecs < 2 ** 48 - 1);
    }),
  );
});

test("the id after another one is the next larger", () => {
  expect(idAfter("01890000-0000-7000-8000-0000000000ff")).toBe("01890000-0000-7000-8000-000000000100");
  expect(idAfter("00000000-0000-0000-0000-ffffffffffff")).toBe("00000000-0000-0000-0001-000000000000");
  expect(idAfter(MAX_ID)).toBe(MAX_ID);
});

test("a family contains its id and no id of another millisecond", () => {
  const id = v7({ msecs: 1_000 });
  const { from, to } = family(id);
  expect(from <= id && id <= to).toBe(true);
  expect(v7({ msecs: 999 }) < from && to < v7({ msecs: 1_001 })).toBe(true);
});

test("the range of several ids contains the family of each", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 1e13 }), { minLength: 1, maxLength: 20 }), (times) => {
      const ids = times.map((msecs) => v7({ msecs }));
      const range = familyRange(ids);
      for (const id of ids) expect(range.from <= family(id).from && family(id).to <= range.to).toBe(true);
    }),
  );
});

test("the last id before a time is a UUIDv7 of the millisecond before", () => {
  const ms = Date.UTC(2026, 0, 1);
  const id = lastIdBefore(ms);
  expect([timeOfId(id), version(id)]).toEqual([ms - 1, 7]);
  expect(id > v7({ msecs: ms - 1 }) && id < firstIdAt(ms)).toBe(true);
});
