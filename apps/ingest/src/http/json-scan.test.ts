import fc from "fast-check";
import { expect, test } from "vitest";
import { endOf, NotJson, skipSpace } from "./json-scan.ts";

/** Whether the scanner accepts a text as one JSON value with white space around it. */
function isJson(json: Buffer): boolean {
  try {
    return skipSpace(json, endOf(json, skipSpace(json, 0), 1_000)) === json.length;
  } catch (error) {
    if (error instanceof NotJson) return false;
    throw error;
  }
}

function isParsed(json: Buffer): boolean {
  try {
    JSON.parse(json.toString());
    return true;
  } catch {
    return false;
  }
}

/** Every text of `length` characters of an alphabet. */
function* textsOf(alphabet: string, length: number): Generator<string> {
  if (length === 0) yield "";
  else for (const rest of textsOf(alphabet, length - 1)) for (const char of alphabet) yield rest + char;
}

test.each([
  ["lists and objects", '[]{},:" 1', 5],
  ["numbers", "-+.eE019 ", 5],
  ["strings", '"\\u0aFg/\n\x1f', 4],
  ["anything", '[]{},:"\\-+.eE09 \t\n\r\f\x00truefalsn\x7fé', 3],
])("exactly the texts that JSON.parse accepts are accepted: %s", (_, alphabet, maxLength) => {
  const wrong: string[] = [];
  let accepted = 0;
  for (let length = 0; length <= maxLength; length += 1) {
    for (const text of textsOf([...new Set(alphabet)].join(""), length)) {
      const json = Buffer.from(text);
      const isAccepted = isJson(json);
      if (isAccepted) accepted += 1;
      if (isAccepted !== isParsed(json)) wrong.push(text);
    }
  }
  expect(wrong).toEqual([]);
  expect(accepted).toBeGreaterThan(0);
});

const PIECES = [
  ...'[]{},:"\\-+.eE019 \t\n\r\x00\x1f'.split(""),
  "true",
  "false",
  "null",
  "\\u",
  "\\ud83d",
  "é",
  "🚚",
  '"a":',
  "-0",
];

test("JSON of any value is accepted, and a damaged one only if JSON.parse accepts it", () => {
  const edit = fc.record({ at: fc.nat(), remove: fc.nat({ max: 3 }), insert: fc.constantFrom("", ...PIECES) });
  const damaged = fc
    .tuple(fc.jsonValue(), fc.constantFrom(undefined, 1, "\t"), fc.array(edit, { maxLength: 3 }))
    .map(([value, indent, edits]) =>
      edits.reduce(
        (text, { at, remove, insert }) => {
          const place = at % (text.length + 1);
          return text.slice(0, place) + insert + text.slice(place + remove);
        },
        JSON.stringify(value, null, indent),
      ),
    );
  fc.assert(
    fc.property(damaged, (text) => {
      const json = Buffer.from(text);
      expect(isJson(json)).toBe(isParsed(json));
    }),
    { numRuns: 20_000 },
  );
});

test("a truncated text has no end", () => {
  const text = Buffer.from('{"a":[true,-1.5e+3,"\\u00e9\\n é",{}],"b":null}');
  for (let length = 0; length < text.length; length += 1) expect(isJson(text.subarray(0, length))).toBe(false);
  expect(isJson(text)).toBe(true);
});
