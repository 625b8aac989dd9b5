import fc from "fast-check";
import { expect, test } from "vitest";
import { parseExactly } from "./exact-json.ts";

test.each([
  '{"id":12345678901234567890}',
  "[0.1000000000000000055511151231257827]",
  "1e400",
  "-0.00000000000000000001",
  '{"a":[{"b":9007199254740993}],"c":"9007199254740993"}',
  "1E+2",
])("%s goes out as it came in", (text) => expect(JSON.stringify(parseExactly(text))).toBe(text));

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
  const deep = `${"[".repeat(200_000)}12345678901234567890${"]".repeat(200_000)}`;
  let outcome: unknown;
  try {
    outcome = typeof parseExactly(deep);
  } catch (error) {
    outcome = error;
  }
  expect(outcome === "object" || outcome instanceof Error).toBe(true);
});

test("what is not JSON is a SyntaxError", () => {
  for (const text of ["", "{", "{'a':1}", "undefined", "[1,]", "12345678901234567890,"]) {
    expect(() => parseExactly(text)).toThrow(SyntaxError);
  }
});
