import { isExactNumber } from "./exact-number.ts";

/** The types of this TypeScript don't know the reviver's third parameter yet (ECMAScript 2026). */
type Reviver = (key: string, value: unknown, context: { source?: string }) => unknown;

/**
 * Parses like JSON.parse, and finds numbers that it rounds.
 *
 * @param onText called with each name of a member and each text
 * @returns the value, and the last number in it that would be rounded, as a sentence
 */
export function parseExact(
  json: string,
  onText?: (text: string) => void,
): { value: unknown; problem: string | undefined } {
  let problem: string | undefined;
  const check: Reviver = (key, value, { source }) => {
    onText?.(key);
    if (typeof value === "string") onText?.(value);
    if (typeof value === "number" && source !== undefined && !isExactNumber(source)) {
      problem = `has a number that would be rounded: send ${source.slice(0, 50)} as a string`;
    }
    return value;
  };
  return { value: JSON.parse(json, check as (key: string, value: unknown) => unknown), problem };
}
