import fc from "fast-check";
import { expect, test } from "vitest";
import { parseExact } from "./exact-json.ts";
import { isExactNumber } from "./exact-number.ts";

test("every number that would be rounded is found, wherever it stands, and no text is taken for one", () => {
  const number = fc.oneof(
    fc.double({ noNaN: true, noDefaultInfinity: true }).map(String),
    fc.bigInt({ min: -(10n ** 25n), max: 10n ** 25n }).map(String),
    fc.stringMatching(/^-?(?:0|[1-9]\d{0,20})(?:\.\d{1,20})?(?:[eE][+-]?\d{1,3})?$/),
  );
  const json = fc.letrec<{ value: string }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 3 },
      number,
      fc
        .oneof(
          fc.string(),
          number,
          number.map((text) => `\\"${text}`),
        )
        .map((text) => JSON.stringify(text)),
      fc.array(tie("value"), { maxLength: 4 }).map((values) => `[${values.join(",")}]`),
      fc
        .array(tie("value"), { maxLength: 4 })
        .map((values) => `{${values.map((value) => `"1e400": ${value}`).join(" ,")}}`),
    ),
  })).value;
  fc.assert(
    fc.property(json, (text) => {
      const inexact: string[] = [];
      JSON.parse(text, ((_key: string, value: unknown, context: { source?: string }) => {
        if (typeof value === "number" && !isExactNumber(context.source!)) inexact.push(context.source!);
        return value;
      }) as (key: string, value: unknown) => unknown);
      // A member that is repeated counts once for JSON.parse, and each time here.
      if (inexact.length > 0) expect(parseExact(text).problem).toMatch(/^has a number that would be rounded/);
      else if (!text.includes("{")) expect(parseExact(text).problem).toBeUndefined();
      expect(parseExact(text).value).toEqual(JSON.parse(text));
    }),
  );
});
