import fc from "fast-check";
import { expect, test } from "vitest";
import { isEventType, isEventTypePattern, matchesPattern, patternsMatching } from "./types.ts";

test.each(["order", "order.created", "a.b.c.d", "A-1_b.C", "x".repeat(128)])("%s is an event type", (text) => {
  expect(isEventType(text)).toBe(true);
  expect(isEventTypePattern(text)).toBe(true);
});

test.each([
  "",
  ".",
  "order.",
  ".created",
  "order..created",
  "order created",
  "order.*",
  "*",
  "ünï",
  "a/b",
  "a,b",
  "order\n",
  "x".repeat(129),
])("%j is no event type", (text) => expect(isEventType(text)).toBe(false));

test.each(["*", "order.*", "order.created.*"])("%s is a pattern", (text) =>
  expect(isEventTypePattern(text)).toBe(true),
);

test.each(["", "**", ".*", "*.created", "order.*.x", "order*", "order.**", "order.", "a,b"])(
  "%j is no pattern",
  (text) => {
    expect(isEventTypePattern(text)).toBe(false);
  },
);

test("order.* is everything below order at any depth, and not order itself", () => {
  expect(patternsMatching("order.item.added")).toEqual(["*", "order.item.added", "order.*", "order.item.*"]);
  expect(patternsMatching("order")).toEqual(["*", "order"]);
});

test("everything that matches a type is a valid pattern and one of its prefixes", () => {
  const word = fc.stringMatching(/^[A-Za-z0-9_-]{1,8}$/);
  fc.assert(
    fc.property(fc.array(word, { minLength: 1, maxLength: 6 }), (words) => {
      const type = words.join(".");
      for (const pattern of patternsMatching(type)) {
        expect(isEventTypePattern(pattern)).toBe(true);
        expect(type === pattern || type.startsWith(pattern.slice(0, -1))).toBe(true);
      }
    }),
  );
});

test.each([
  ["*", "order", true],
  ["order", "order", true],
  ["order.*", "order.created", true],
  ["order.*", "order.item.added", true],
  ["order.*", "order", false],
  ["order.*", "orders.created", false],
  ["order", "order.created", false],
  ["order.created", "order", false],
])("%s and %s: a match is %s", (pattern, type, expected) => expect(matchesPattern(pattern, type)).toBe(expected));

test("matchesPattern agrees with patternsMatching", () => {
  // Only a few words, so that types and patterns often share a prefix.
  const type = fc
    .array(fc.constantFrom("a", "ab", "b"), { minLength: 1, maxLength: 4 })
    .map((words) => words.join("."));
  const pattern = fc.oneof(
    fc.constant("*"),
    type,
    type.map((prefix) => `${prefix}.*`),
  );
  fc.assert(
    fc.property(
      pattern,
      type,
      (pattern, type) => matchesPattern(pattern, type) === patternsMatching(type).includes(pattern),
    ),
    { numRuns: 1000 },
  );
});
