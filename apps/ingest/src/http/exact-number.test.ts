import fc from "fast-check";
import { expect, test } from "vitest";
import { isExactNumber } from "./exact-number.ts";

test.each([
  "12345678901234567890",
  "9007199254740993",
  "0.1000000000000000055511151231257827",
  "123456789012345678e-3",
  "-0.30000000000000000001",
  "1e400",
  "-1e400",
  "1e-400",
])("%s is not exact", (source) => expect(isExactNumber(source)).toBe(false));

test.each([
  "0",
  "-0",
  "0.0",
  "0e9",
  "1e2",
  "1E+2",
  "-2.50e1",
  "100.0000000000000000",
  "9007199254740992",
  "1.7976931348623157e308",
  "5e-324",
])("%s is exact", (source) => expect(isExactNumber(source)).toBe(true));

test("every number that JavaScript writes is exact", () => {
  const number = fc.double({ noNaN: true, noDefaultInfinity: true });
  fc.assert(
    fc.property(number, (value) => {
      expect(isExactNumber(JSON.stringify(value))).toBe(true);
    }),
  );
});

test("a number of 19 digits or more, without outer zeros, is exact only if a double holds it", () => {
  const digits = fc.stringMatching(/^[1-9]\d{17,60}[1-9]$/);
  fc.assert(
    fc.property(digits, (source) => {
      // A double writes 17 significant digits at most, and zeros after them.
      expect(isExactNumber(source)).toBe(false);
    }),
  );
});

test("a number of a hundred thousand zeros is checked in linear time", () => {
  const started = performance.now();
  expect(isExactNumber(`1${"0".repeat(100_000)}1e-100000`)).toBe(false);
  expect(performance.now() - started).toBeLessThan(2_000);
});
