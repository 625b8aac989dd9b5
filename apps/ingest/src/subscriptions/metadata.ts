import { z } from "zod";
import { RawJson } from "../http/raw-json.ts";
import { isExactNumber } from "./exact-number.ts";

const MAX_CHARS = 16 * 1024;
const OPEN_OBJECT = "{".charCodeAt(0);

/** A JSON object. It is refused where any value in it would not be stored and shown as it was sent. */
export const metadata = z
  .custom<RawJson>((value) => value instanceof RawJson)
  .transform(({ json }, issues): Record<string, unknown> => {
    const refuse = (message: string) => {
      issues.addIssue(message);
      return z.NEVER;
    };
    if (json[0] !== OPEN_OBJECT) return refuse("must be an object");
    const { value, problem } = parse(json.toString());
    if (problem !== undefined) return refuse(problem);
    if (JSON.stringify(value).length > MAX_CHARS) return refuse(`must be at most ${MAX_CHARS} characters of JSON`);
    return value;
  });

/** The types of this TypeScript don't know the reviver's third parameter yet (ECMAScript 2026). */
type Reviver = (key: string, value: unknown, context: { source?: string }) => unknown;

/** @returns the object, and the last thing in it that can't be stored */
function parse(text: string): { value: Record<string, unknown>; problem: string | undefined } {
  let problem: string | undefined;
  const check: Reviver = (key, value, { source }) => {
    if (!isStorable(key) || (typeof value === "string" && !isStorable(value))) {
      problem = "must not contain NUL characters or unpaired surrogates";
    }
    if (typeof value === "number" && source !== undefined && !isExactNumber(source)) {
      problem = `has a number that would be rounded: send ${source.slice(0, 50)} as a string`;
    }
    return value;
  };
  return { value: JSON.parse(text, check as (key: string, value: unknown) => unknown), problem };
}

/** Postgres's jsonb holds neither. */
const isStorable = (text: string): boolean => !text.includes("\0") && text.isWellFormed();
