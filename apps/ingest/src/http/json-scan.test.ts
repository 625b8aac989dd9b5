import fc from "fast-check";
import { expect, test } from "vitest";
import { extentOf, NotJson, skipSpace } from "./json-scan.ts";

/** Whether a text is one JSON value with white space around it, as the scanner sees it. */
function isJson(json: Buffer): boolean {
  try {
    return skipSpace(json, extentOf(json, skipSpace(json, 0)).end) === json.length;
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

/** Every text of so many characters of an alphabet. */
function* textsOf(alphabet: string, length: number): Generator<string> {
  if (length === 0) yield "";
  else for (const rest of textsOf(alphabet, length - 1)) for (const char of alphabet) yield rest + char;
}

test.each([
  ["lists, objects and what is between them", '[]{},:" 1', 5],
  ["numbers", "-+.eE019 ", 5],
  ["strings", '"\\u0aFg/\n\x1f', 4],
  ["anything", '[]{},:"\\-+.eE09 \t\n\r\f\x00truefalsn\x7fé', 3],
])("what JSON.parse takes is taken and nothing else: %s", (_, alphabet, most) => {
  const wrong: string[] = [];
  let taken = 0;
  for (let length = 0; length <= most; length += 1) {
    for (const text of textsOf([...new Set(alphabet)].join(""), length)) {
      const json = Buffer.from(text);
      const isTaken = isJson(json);
      if (isTaken) taken += 1;
      if (isTaken !== isParsed(json)) wrong.push(text);
    }
  }
  expect(wrong).toEqual([]);
  expect(taken).toBeGreaterThan(0);
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

test("JSON of any value is taken, and a damaged one where JSON.parse takes it", () => {
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

test("a text that is cut short anywhere has no end", () => {
  const text = Buffer.from('{"a":[true,-1.5e+3,"\\u00e9\\n é",{}],"b":null}');
  for (let length = 0; length < text.length; length += 1) expect(isJson(text.subarray(0, length))).toBe(false);
  expect(isJson(text)).toBe(true);
});
