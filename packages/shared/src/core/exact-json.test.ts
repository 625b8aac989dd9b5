import fc from "fast-check";
import { expect, test, vi } from "vitest";
import { parseExactly } from "./exact-json.ts";

test.each([
  '{"id":12345678901234567890}',
  "[0.1000000000000000055511151231257827]",
  "1e400",
  "-1e400",
  "1e-400",
  "-0.30000000000000000001",
  '{"a":[{"b":9007199254740993}],"c":"9007199254740993"}',
  '{"a":100,"b":[123456789012345678e-3]}',
])("%s goes out as it came in", (text) => expect(JSON.stringify(parseExactly(text))).toBe(text));

test.each([
  "1e2",
  "1E+2",
  "-2.50e1",
  "100.0000000000000000",
  "0e9",
  "-0.00000000000000000001",
  "9007199254740992",
  "1.7976931348623157e308",
  "5e-324",
])("%s is a plain number, since a double holds it", (text) => expect(parseExactly(text)).toBe(JSON.parse(text)));

test("a plain number stays one beside a number that must be kept as text", () => {
  const parsed = parseExactly('{"timeoutMs":1e4,"rate":5.0,"id":12345678901234567890}') as Record<string, unknown>;
  expect(parsed).toMatchObject({ timeoutMs: 10_000, rate: 5 });
  expect(JSON.stringify(parsed)).toBe('{"timeoutMs":10000,"rate":5,"id":12345678901234567890}');
});

test("a number of any length and place comes out with the digits it had", () => {
  const digits = fc.stringMatching(/^[1-9]\d{17,60}[1-9]$/);
  const number = fc.oneof(
    digits,
    digits.map((text) => `-0.${text}`),
    fc.tuple(digits, fc.integer({ min: -500, max: 500 })).map(([text, power]) => `${text}e${power}`),
  );
  fc.assert(
    fc.property(number, fc.constantFrom("", " ", "\n", "\t", "\r\n"), (text, space) => {
      for (const [before, after] of [
        ["", ""],
        ["[", "]"],
        ["[1,", "]"],
        ['{"a":', "}"],
        ['{"a":"b","c":', ',"d":2}'],
      ]) {
        const kept = JSON.stringify(parseExactly(`${before}${space}${text}${space}${after}`));
        expect(kept).toBe(`${before}${text}${after}`);
      }
    }),
  );
});

test("every double comes back as itself", () => {
  fc.assert(
    fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (number) => {
      expect(parseExactly(JSON.stringify([number]))).toEqual([number === 0 ? 0 : number]);
    }),
  );
});

test("the digits of UUIDs and hashes do not take the slow way", () => {
  const reviver = vi.spyOn(JSON, "parse");
  for (const value of [
    "3e5a1e07-1c2e-4e44-9e10-2e9e0e1e5e77",
    "6113728f27ae82c7b1a177c8d03f9e96e0adf246",
    "1234567890123456",
  ]) {
    parseExactly(JSON.stringify({ value, list: [value, 1.5, -20, 123456789012345] }));
  }
  expect(reviver.mock.calls.map((given) => given.length)).toEqual([1, 1, 1]);
  reviver.mockRestore();
});

test("what JSON can hold is what JSON.parse gives", () => {
  fc.assert(
    fc.property(fc.json(), (text) => {
      expect(JSON.stringify(parseExactly(text))).toBe(JSON.stringify(JSON.parse(text)));
    }),
  );
});

test("digits inside of a string are no number", () => {
  expect(parseExactly('"12345678901234567890"')).toBe("12345678901234567890");
});

test("__proto__ is data like any other key", () => {
  const text = '{"__proto__":{"admin":true},"n":12345678901234567890}';
  const parsed = parseExactly(text) as object;
  expect(JSON.stringify(parsed)).toBe(text);
  expect("admin" in parsed).toBe(false);
});

test("deep nesting is data or an error, and never the end of the process", () => {
  for (const levels of [10_000, 200_000]) {
    for (const leaf of ["1", "12345678901234567890"]) {
      let outcome: unknown;
      try {
        outcome = typeof parseExactly("[".repeat(levels) + leaf + "]".repeat(levels));
      } catch (error) {
        outcome = error;
      }
      expect(outcome === "object" || outcome instanceof Error).toBe(true);
    }
  }
});

test("what is not JSON is a SyntaxError", () => {
  for (const text of ["", "{", "{'a':1}", "undefined", "[1,]", "12345678901234567890,"]) {
    expect(() => parseExactly(text)).toThrow(SyntaxError);
  }
});
