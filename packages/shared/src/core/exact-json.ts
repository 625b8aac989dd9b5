/** A number of 16 or more characters, or with an exponent, may be one that a double cannot hold. */
const MAYBE_INEXACT = /-?\d[\d.]{15,}|\d[eE][+-]?\d/;

interface WithSource {
  rawJSON(text: string): unknown;
  parse(text: string, reviver: (key: string, value: unknown, context: { source?: string }) => unknown): unknown;
}

// The types of this TypeScript do not know JSON.rawJSON and the reviver's context yet (https://github.com/tc39/proposal-json-parse-with-source).
const exact = JSON as unknown as WithSource;

/**
 * Parses JSON so that every number comes out of JSON.stringify as it was written: a 64-bit id that a double cannot
 * hold is kept as text. A text without such a number takes the plain, fast way.
 *
 * @throws SyntaxError where the text is not JSON
 */
export function parseExactly(text: string): unknown {
  if (!MAYBE_INEXACT.test(text)) return JSON.parse(text);
  return exact.parse(text, (_key, value, { source }) =>
    typeof value === "number" && source !== undefined && String(value) !== source ? exact.rawJSON(source) : value,
  );
}
