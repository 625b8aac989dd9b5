import { isExactNumber } from "./exact-number.ts";

/** 16 digits or more, or an exponent: any other number of JSON survives. */
const MAYBE_INEXACT = /-?\d[\d.]{15,}(?:[eE][+-]?\d+)?|-?\d[\d.]*[eE][+-]?\d+/g;
const STRING = /"(?:[^"\\]|\\.)*"/g;

/**
 * Parses like JSON.parse, and finds numbers that it rounds. The text is searched, because a reviver, which is called for
 * each of the values, takes a hundred times as long as JSON.parse.
 *
 * @returns the value, and the first number in it that would be rounded, as a sentence
 */
export function parseExact(json: string): { value: unknown; problem: string | undefined } {
  const value: unknown = JSON.parse(json);
  if (json.search(MAYBE_INEXACT) === -1) return { value, problem: undefined };
  const [inexact] = (json.replace(STRING, '""').match(MAYBE_INEXACT) ?? []).filter((source) => !isExactNumber(source));
  const problem = inexact && `has a number that would be rounded: send ${inexact.slice(0, 50)} as a string`;
  return { value, problem };
}
