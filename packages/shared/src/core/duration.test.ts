import fc from "fast-check";
import { expect, test } from "vitest";
import { formatDuration, parseDuration } from "./duration.ts";

test.each([
  ["0s", 0],
  ["250ms", 250],
  ["2s", 2_000],
  ["5m", 300_000],
  ["1h", 3_600_000],
  ["3d", 259_200_000],
  [" 2s ", 2_000],
  ["007s", 7_000],
])("%j is %i ms", (text, ms) => expect(parseDuration(text)).toBe(ms));

test.each([
  "",
  " ",
  "5",
  "s",
  "1.5s",
  "-1s",
  "+1s",
  "1 s",
  "1w",
  "1S",
  "1e3s",
  "0x5s",
  "1h30m",
  "1s,2s",
  "1234567890s",
  "٣s",
])("%j is no duration", (text) => expect(parseDuration(text)).toBeUndefined());

test("a duration is formatted in the largest unit that divides it", () => {
  const written = [0, 1, 999, 1_000, 1_500, 60_000, 90_000, 3_600_000, 86_400_000, 90_000_000].map(formatDuration);
  expect(written).toEqual(["0ms", "1ms", "999ms", "1s", "1500ms", "1m", "90s", "1h", "1d", "25h"]);
});

test("a formatted duration parses to the same duration", () => {
  const unit = fc.constantFrom(1, 1_000, 60_000, 3_600_000, 86_400_000);
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 10_000 }), unit, (count, ms) => {
      expect(parseDuration(formatDuration(count * ms))).toBe(count * ms);
    }),
  );
});
